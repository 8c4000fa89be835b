/** The parts of the relay that no package exports, loaded by address: what is built lies at another depth. */
const { Probes } = (await load('session/probes.js')) as typeof import('../../../server/dist/session/probes.js');
const { ClockEstimate } = (await load(
  'timeline/clock-estimate.js',
)) as typeof import('../../../server/dist/timeline/clock-estimate.js');
const { isLater, ORIGIN } = (await load('timeline/key.js')) as typeof import('../../../server/dist/timeline/key.js');
const { Timeline } = (await load('timeline/timeline.js')) as typeof import('../../../server/dist/timeline/timeline.js');

export type EstimateOf = InstanceType<typeof ClockEstimate>;
export type ProbesOf = InstanceType<typeof Probes>;
export type { Key } from '../../../server/dist/timeline/key.js';
export { ClockEstimate, isLater, ORIGIN, Probes, Timeline };

function load(path: string): Promise<unknown> {
  return import(new URL(`../../../../server/dist/${path}`, import.meta.url).href);
}
