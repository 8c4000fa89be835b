import type { State } from '@gametape/shared';
import type { Playhead, ReplayEvent } from './api.ts';

/** The face of a playhead that somebody else has. */
export abstract class DelegatedPlayhead implements Playhead {
  protected abstract get playhead(): Playhead;

  get states(): ReadonlyMap<string, State> {
    return this.playhead.states;
  }

  get currentTime(): number {
    return this.playhead.currentTime;
  }

  set currentTime(time: number) {
    this.playhead.currentTime = time;
  }

  get playbackRate(): number {
    return this.playhead.playbackRate;
  }

  set playbackRate(rate: number) {
    this.playhead.playbackRate = rate;
  }

  get maxGap(): number {
    return this.playhead.maxGap;
  }

  set maxGap(seconds: number) {
    this.playhead.maxGap = seconds;
  }

  get duration(): number {
    return this.playhead.duration;
  }

  get paused(): boolean {
    return this.playhead.paused;
  }

  get seeking(): boolean {
    return this.playhead.seeking;
  }

  get ended(): boolean {
    return this.playhead.ended;
  }

  get isLive(): boolean {
    return this.playhead.isLive;
  }

  stateOf(player: string): State | undefined {
    return this.playhead.stateOf(player);
  }

  play(): void {
    this.playhead.play();
  }

  pause(): void {
    this.playhead.pause();
  }

  seek(time: number): Promise<void> {
    return this.playhead.seek(time);
  }

  step(events: number): Promise<ReplayEvent | undefined> {
    return this.playhead.step(events);
  }

  goLive(): void {
    this.playhead.goLive();
  }
}
