/** The room is over: its past is a recording now. */
export class RoomOver extends Error {
  readonly recordingId: string;

  constructor(recordingId: string) {
    super(`the room has ended; its recording is ${recordingId}`);
    this.recordingId = recordingId;
  }
}
