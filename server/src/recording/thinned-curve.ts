/** As many points as a curve keeps, and one more for the last. */
export const MAX_CURVE_POINTS = 256;

/**
 * A curve in bounded memory (R6): when it is full, every second point goes, and from then on only every second is taken. The
 * first and the last point are always there.
 */
export class ThinnedCurve<Point> {
  #points: Point[] = [];
  #stride = 1;
  #pushed = 0;
  #last: Point | undefined;

  get isThinned(): boolean {
    return this.#stride > 1;
  }

  push(point: Point): void {
    this.#last = point;
    if (this.#pushed++ % this.#stride !== 0) return;
    if (this.#points.length === MAX_CURVE_POINTS) {
      this.#points = this.#points.filter((_, index) => index % 2 === 0);
      this.#stride *= 2;
      if ((this.#pushed - 1) % this.#stride !== 0) return;
    }
    this.#points.push(point);
  }

  points(): Point[] {
    const last = this.#last;
    return last === undefined || this.#points.at(-1) === last ? [...this.#points] : [...this.#points, last];
  }
}
