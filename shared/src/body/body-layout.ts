/** Numbers of DELTA.md. */
export const BodyForm = { None: 0, Delta: 1, Keyframe: 2, CheckedDelta: 3 } as const;
export type BodyForm = (typeof BodyForm)[keyof typeof BodyForm];

export const Op = { Set: 0, Delete: 1, Echo: 2, EchoAt: 3, Splice: 4, Add: 5, Cut: 6, Nest: 7 } as const;
export type Op = (typeof Op)[keyof typeof Op];
