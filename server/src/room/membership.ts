import { CloseCode, GametapeError, type Hello, type Position, type Resumption } from '@gametape/shared';
import { announcedAt } from '../audience/spectator-feed.ts';
import type { RelayOptions } from '../options.ts';
import type { Peer } from '../transport/transport.ts';
import { Receiver } from './receiver.ts';
import type { LeaveReason } from './relay-bodies.ts';
import type { Room } from './room.ts';
import type { Seat } from './seat.ts';
import { snapshotOf } from './snapshot.ts';

const PROTOCOL = 1;

export interface MembershipHandlers {
  /** A player has gone for good. */
  onGone(seat: Seat): void;
  /** Runs what nobody else would catch a fault of. */
  guard(work: () => void): void;
}

/** Who is in a room: joining, resuming, superseding, being dropped and leaving. Spectators are the audience's. */
export class Membership {
  readonly #room: Room;
  readonly #options: RelayOptions;
  readonly #handlers: MembershipHandlers;
  #isStopped = false;

  constructor(room: Room, options: RelayOptions, handlers: MembershipHandlers) {
    this.#room = room;
    this.#options = options;
    this.#handlers = handlers;
  }

  get isEmpty(): boolean {
    return this.#room.seats.all.every(({ presence }) => presence === 'gone');
  }

  /**
   * Seats a player: at the place its instance had, or at a new one, which supersedes the one the player had (W9).
   *
   * @throws GametapeError `PROFILE_MISMATCH`, `ROOM_FULL`, `ROOM_ENDED`, `SUPERSEDED`, `BAD_STATE` and what else a hello
   *   can be wrong about
   */
  async addPlayer(hello: Hello, peer: Peer, { isEnding }: { isEnding: boolean }): Promise<Seat> {
    const room = this.#room;
    const known = room.seats.all.find(({ context }) => context.instance === hello.instance);
    if (known && known.player !== hello.player) {
      throw new GametapeError('BAD_MESSAGE', 'hello: this instance belongs to another player');
    }
    if (hello.profile !== room.profile.name) {
      const found = `the room records the profile ${room.profile.name}, this player ${JSON.stringify(hello.profile)}`;
      throw new GametapeError('PROFILE_MISMATCH', found);
    }
    if (known && room.seats.current.every((seat) => seat !== known)) {
      throw new GametapeError('SUPERSEDED', 'the player has connected from somewhere else since');
    }
    // Whoever was here, and of whom a power loss has left nothing, still has what the end asks for (W6).
    if (!known && (room.output.isOver || (isEnding && !hello.resume))) {
      throw new GametapeError('ROOM_ENDED', `room ${room.name}: it is about to end; a new one opens after it`);
    }
    const seat = known ?? this.#newSeat(hello);
    clearTimeout(seat.graceTimer);
    const old = seat.receiver;
    const receiver = new Receiver(peer, seat.context.index);
    seat.receiver = receiver;
    old?.peer.close(CloseCode.SUPERSEDED, 'SUPERSEDED: the same session has connected again');
    if (known) {
      known.estimate.greet(room.clock.now(), hello.clock, hello.tick);
      // The demand for a keyframe may have been lost with the old socket: what does not fit will make it again.
      known.awaitsGap = false;
    }
    if (known && !room.output.isOver) {
      if (known.presence === 'gone') this.#joinAgain(known, hello);
      known.presence = 'present';
    }
    try {
      await this.#welcome(receiver, seat, hello);
    } catch (error) {
      this.lose(seat, peer);
      throw error;
    }
    return seat;
  }

  /** @throws GametapeError `ROOM_FULL`, `JOURNAL_FAILED` */
  async addSpectator(hello: Hello, peer: Peer): Promise<Receiver> {
    const { name, audience } = this.#room;
    if (audience.size >= this.#options.maxSpectators) {
      throw new GametapeError('ROOM_FULL', `room ${name}: ${audience.size} spectators, no more are allowed`);
    }
    const receiver = new Receiver(peer, -1, hello.player);
    receiver.knowsClocks = hello.tick !== undefined;
    await audience.join(receiver, hello.resume);
    return receiver;
  }

  /** A socket is lost. Its player may return in time, and nobody will have noticed. */
  lose(seat: Seat, peer: Peer): void {
    // An old socket's end says nothing about the one that superseded it.
    if (seat.receiver?.peer !== peer) return;
    seat.receiver = undefined;
    if (seat.presence !== 'present' || this.#isStopped) return;
    seat.presence = 'away';
    this.expectReturn(seat);
  }

  /** The same for everybody who was here when the room came back. */
  expectReturns(): void {
    const { all, current } = this.#room.seats;
    for (const seat of all.filter(({ presence }) => presence === 'away')) {
      if (current.includes(seat)) this.expectReturn(seat);
      else {
        // That it was superseded has gone into a hole: nobody comes back for it (J4).
        this.remove(seat, 'superseded');
        this.#room.stateLeftOutOf(seat);
      }
    }
  }

  /** Starts the time in which a player that is away has to return. */
  expectReturn(seat: Seat): void {
    clearTimeout(seat.graceTimer);
    const { guard } = this.#handlers;
    seat.graceTimer = setTimeout(() => guard(() => this.remove(seat, 'dropped')), this.#options.dropGraceMs);
  }

  /** Records that a player is gone. */
  remove(seat: Seat, reason: LeaveReason): void {
    if (seat.presence === 'gone') return;
    clearTimeout(seat.graceTimer);
    seat.presence = 'gone';
    if (reason === 'left') seat.expected = seat.context.pseq;
    this.#room.relayEvents.leave(seat, reason);
    this.#handlers.onGone(seat);
  }

  /** Nobody is waited for any more. */
  stop(): void {
    this.#isStopped = true;
    for (const { graceTimer } of this.#room.seats.all) clearTimeout(graceTimer);
  }

  /** A player returns that was gone, or one of whose joining a power loss has left nothing (J4). */
  #joinAgain(seat: Seat, hello: Hello): void {
    const initial = seat.hasJoined ? undefined : this.#initialState(hello);
    seat.presence = 'present';
    seat.expected = null;
    this.#room.relayEvents.join(seat, { name: seat.name ?? hello.name ?? seat.player }, initial);
  }

  #newSeat(hello: Hello): Seat {
    const room = this.#room;
    const present = room.seats.current.filter(({ presence }) => presence !== 'gone');
    if (present.length >= this.#options.maxPlayers && !present.some(({ player }) => player === hello.player)) {
      throw new GametapeError('ROOM_FULL', `room ${room.name}: ${present.length} players, no more are allowed`);
    }
    const initial = this.#initialState(hello);
    for (const other of present) {
      if (other.player !== hello.player) continue;
      const { receiver } = other;
      other.receiver = undefined;
      this.remove(other, 'superseded');
      receiver?.peer.close(CloseCode.SUPERSEDED, 'SUPERSEDED: the player has connected from somewhere else');
    }
    for (const other of room.seats.all) if (other.player === hello.player) room.stateLeftOutOf(other);
    if (hello.resume) room.accountForUnknown();
    const seat = room.addSeat(hello.player, hello.instance, hello.name);
    seat.estimate.greet(room.clock.now(), hello.clock, hello.tick);
    room.relayEvents.join(seat, { name: hello.name ?? hello.player }, initial);
    room.relayEvents.startFrom(seat);
    return seat;
  }

  /** The state that a hello brings, undefined for none. @throws GametapeError for one that may not be recorded */
  #initialState({ state }: Hello): Uint8Array | undefined {
    const { profile } = this.#room;
    if (state.length > 0) this.#room.admission.checkState(state);
    else if (profile.initialState) {
      throw new GametapeError('BAD_STATE', `hello: a player of the profile ${profile.name} comes with a state`);
    }
    return state.length > 0 ? state : undefined;
  }

  /** W5: takes the position, then the snapshot at it, then lets come what came after. */
  async #welcome(receiver: Receiver, seat: Seat, { resume, tick }: Hello): Promise<void> {
    const room = this.#room;
    const position = room.recording.headSeq;
    const resumption = this.#resumption(resume);
    // Of its own state a client knows better, unless a rewind that it may have missed has changed it (T8).
    const rewound = resumption === 'resumed' ? 0 : seat.rewoundAt;
    const leftOut = rewound > 0 ? -1 : receiver.producer;
    const shown = room.seats.current.map(({ context }) => context).filter(({ index }) => index !== leftOut);
    const snapshot = resumption === 'resumed' ? undefined : snapshotOf(shown);
    const producers = room.seats.all.length;
    const roomTime = room.clock.now();
    const { pauses, paused, changes } = room.recording.playClock.told;
    // What the snapshot shows has to be in the journal first: a crash must not take back what was shown. Of a new room not
    // even a power loss may take back that there is one: whoever has its recording id comes back to it (J4).
    await room.output.founded();
    receiver.send({
      kind: 'welcome',
      protocol: PROTOCOL,
      recordingId: room.recordingId,
      profile: room.profile.name,
      epoch: room.epoch,
      seq: position,
      resumption,
      producer: receiver.producer,
      lastPseq: seat.accepted,
      roomTime,
      createdAt: room.meta.createdAt,
      silenceMs: this.#options.silenceMs,
      durability: room.durability,
      takesJumps: true,
      delayMs: room.audience.delayMs,
      holdMs: room.audience.holdMs,
      players: room.seats.players.filter(({ id }) => id !== seat.player),
      spectators: room.audience.count,
      pauses,
      ...(paused && { paused }),
      changes,
      ...(rewound > 0 && { rewound }),
    });
    if (snapshot) receiver.sendSnapshot(snapshot);
    receiver.position = resumption === 'resumed' ? (resume as Position).seq : position;
    receiver.announced = resumption === 'resumed' ? announcedAt(room.seats, receiver.position) : producers;
    receiver.isReady = true;
    receiver.knowsClocks = tick !== undefined;
    if (receiver.knowsClocks) receiver.send({ kind: 'clocks', errors: room.seats.clockErrors });
    room.broadcast.fanOut();
  }

  #resumption(resume: Position | undefined): Resumption {
    if (!resume) return 'new';
    return this.#room.recording.covers(resume) ? 'resumed' : 'reset';
  }
}
