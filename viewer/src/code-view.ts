import { python } from '@codemirror/lang-python';
import { syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, StateEffect, StateField, type Text } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, lineNumbers, WidgetType } from '@codemirror/view';
import { diffText } from '@gametape/shared';
import { classHighlighter } from '@lezer/highlight';

/** Line and column from 0, the column in code points. */
type Cursor = readonly [line: number, column: number];

/** How long the view stays where its reader scrolled it, in milliseconds, before it follows the cursor again. */
const READING_MS = 5_000;
/** Longest code that is parsed for its colours, in code units: beyond, parsing takes the time that painting needs. */
const MAX_COLOURED = 16_384;
/** Lines, or characters, kept in sight around the cursor. */
const MARGIN = 2;

/** A player's code, read-only, with the player's cursor in it. It follows the cursor without moving the page. */
export class CodeView {
  readonly #view: EditorView;
  readonly #colours = new Compartment();
  #isColoured = true;
  #text = '';
  #cursorAt = -1;
  #readingUntilMs = 0;

  /** `label` names the code for assistive technology. */
  constructor(parent: HTMLElement, label: string) {
    this.#view = new EditorView({
      parent,
      state: EditorState.create({
        extensions: [
          // One kind of line end: with others, positions in the document would not be positions in the text.
          EditorState.lineSeparator.of('\n'),
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.contentAttributes.of({ 'aria-label': label, 'aria-readonly': 'true', tabindex: '0' }),
          lineNumbers(),
          this.#colours.of(pythonColours),
          syntaxHighlighting(classHighlighter),
          cursorField,
        ],
      }),
    });
    for (const gesture of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
      this.#view.scrollDOM.addEventListener(gesture, this.#noteReading, { passive: true });
    }
  }

  /** Shows `text` and `cursor`; only what differs from what is shown is touched. */
  show(text: string, cursor: Cursor | undefined): void {
    const change = diffText(this.#text, text);
    const changes = change && { from: change.at, to: change.at + change.remove, insert: change.insert };
    const document = changes ? this.#view.state.changes(changes).apply(this.#view.state.doc) : this.#view.state.doc;
    const cursorAt = cursor ? offsetOf(document, cursor) : -1;
    if (!changes && cursorAt === this.#cursorAt) return;
    this.#text = text;
    this.#cursorAt = cursorAt;
    this.#view.dispatch({
      ...(changes && { changes }),
      effects: [moveCursor.of(cursorAt), ...this.#recolour(text.length <= MAX_COLOURED)],
    });
    if (cursorAt >= 0 && performance.now() >= this.#readingUntilMs) this.#follow();
  }

  destroy(): void {
    this.#view.destroy();
  }

  #recolour(isColoured: boolean): StateEffect<unknown>[] {
    if (isColoured === this.#isColoured) return [];
    this.#isColoured = isColoured;
    return [this.#colours.reconfigure(isColoured ? pythonColours : [])];
  }

  readonly #noteReading = (): void => {
    this.#readingUntilMs = performance.now() + READING_MS;
  };

  /** Scrolls this view alone: CodeMirror's own scrolling moves everything around it too. */
  #follow(): void {
    this.#view.requestMeasure({
      key: this,
      read: (view) => {
        const at = Math.min(this.#cursorAt, view.state.doc.length);
        const { top, bottom, from } = view.lineBlockAt(at);
        const { scrollDOM, defaultLineHeight, defaultCharacterWidth, documentPadding } = view;
        const gutter = scrollDOM.querySelector<HTMLElement>('.cm-gutters')?.offsetWidth ?? 0;
        const width = scrollDOM.clientWidth - gutter;
        const left = (at - from) * defaultCharacterWidth;
        const right = left + (1 + MARGIN) * defaultCharacterWidth;
        return {
          top: intoSight(
            scrollDOM.scrollTop,
            scrollDOM.clientHeight,
            [top + documentPadding.top, bottom + documentPadding.top],
            MARGIN * defaultLineHeight,
          ),
          // The starts of lines are in sight whenever the cursor leaves them room.
          left: right <= width ? 0 : right - width,
        };
      },
      write: ({ top, left }, { scrollDOM }) => {
        if (top !== scrollDOM.scrollTop) scrollDOM.scrollTop = top;
        if (left !== scrollDOM.scrollLeft) scrollDOM.scrollLeft = left;
      },
    });
  }
}

const pythonColours = python();

/** Where the cursor goes, as an offset; -1 for none. */
const moveCursor = StateEffect.define<number>();

const cursorField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    const effect = transaction.effects.find((candidate) => candidate.is(moveCursor));
    if (!effect) return shown.map(transaction.changes);
    const at = effect.value as number;
    return at < 0 ? Decoration.none : Decoration.set(cursorMark.range(at));
  },
  provide: (field) => EditorView.decorations.from(field),
});

class CursorWidget extends WidgetType {
  override eq(): boolean {
    return true;
  }

  override toDOM(): HTMLElement {
    const mark = document.createElement('span');
    mark.className = 'player-cursor';
    mark.setAttribute('aria-hidden', 'true');
    return mark;
  }
}

const cursorMark = Decoration.widget({ widget: new CursorWidget(), side: 1 });

/** Offset of a cursor in a text; one outside is moved to the nearest place inside. */
function offsetOf(text: Text, [line, column]: Cursor): number {
  const { from, text: content } = text.line(clamp(Math.floor(line) + 1, 1, text.lines));
  let offset = 0;
  for (const point of content) {
    if (column-- < 1) break;
    offset += point.length;
  }
  return from + offset;
}

/** The scroll position nearest to `position` at which `[start, end]` is in sight. */
function intoSight(position: number, size: number, [start, end]: readonly [number, number], margin: number): number {
  if (start - margin < position) return Math.max(0, start - margin);
  if (end + margin > position + size) return end + margin - size;
  return position;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
