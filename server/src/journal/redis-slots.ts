/** Slots that the masters of a cluster share. */
export const SLOTS = 16_384;

/** The master of each slot as `host:port`; a hole where nobody has it. */
export type SlotMap = (string | undefined)[];

/**
 * Reads the reply of CLUSTER SLOTS: `[first, last, [host, port, …] of the master, … of its replicas]` for each range. A node that
 * does not know its own host leaves it out: it is the one that was asked.
 */
export function readSlots(reply: unknown, askedHost: string): SlotMap {
  const slots: SlotMap = new Array(SLOTS);
  for (const [first, last, master] of reply as [number, number, [unknown, number]][]) {
    const host = master[0] === null ? '' : String(master[0]);
    const node = `${host === '' ? askedHost : host}:${master[1]}`;
    for (let slot = Number(first); slot <= Number(last) && slot < SLOTS; slot++) slots[slot] = node;
  }
  return slots;
}
