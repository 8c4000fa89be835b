import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import type { GameEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { Profile, Template } from '../profile/profile.ts';
import { checkStateKey } from '../state/state-key.ts';
import { isForbiddenKey } from '../values/json.ts';

const INLINE = 1;
const FIRST = 2;
/** In place of a name's number: the name itself follows and is not remembered. */
const INLINE_NAME = 16_383;

/** How much of a vocabulary there was at some moment. */
export interface VocabularyMark {
  readonly templates: number;
  readonly names: number;
}

/**
 * The event templates and state key names that one producer and its readers share. It starts as the profile's and grows
 * as bodies define more; both sides of a connection see the same bodies in the same order, so they agree.
 */
export class Vocabulary {
  readonly profile: Profile;
  readonly #templates: Template[] = [];
  readonly #names: string[] = [];
  /** Size of the learned templates: it is bounded, as every block carries them. */
  #templateUnits = 0;
  /** Kept until there is more to tell: every body is marked, few teach anything. */
  #mark: VocabularyMark | undefined;
  /** Numbers by text, built only when something is encoded. */
  #templateNumbers: Map<string, NumberedTemplate[]> | undefined;
  #nameNumbers: Map<string, number> | undefined;

  constructor(profile: Profile) {
    this.profile = profile;
  }

  get learnedTemplates(): readonly Template[] {
    return this.#templates;
  }

  get learnedNames(): readonly string[] {
    return this.#names;
  }

  /** One that knows the same, and learns on its own from here on. */
  fork(): Vocabulary {
    const copy = new Vocabulary(this.profile);
    for (const template of this.#templates) copy.#learnTemplate(template);
    for (const name of this.#names) copy.#learnName(name);
    return copy;
  }

  /** A point to return to if what is being read turns out to be bad. */
  mark(): VocabularyMark {
    this.#mark ??= { templates: this.#templates.length, names: this.#names.length };
    return this.#mark;
  }

  reset(mark: VocabularyMark): void {
    if (this.#templates.length === mark.templates && this.#names.length === mark.names) return;
    for (const template of this.#templates.splice(mark.templates)) this.#templateUnits -= unitsOf(template);
    this.#names.length = mark.names;
    this.#mark = undefined;
    this.#templateNumbers = undefined;
    this.#nameNumbers = undefined;
  }

  /**
   * Writes the head of a body, with the definition of its template if the other side cannot know it. Without `learn` it
   * relies on the profile alone: such a body means the same wherever it ends up among the producer's.
   */
  writeTemplate(writer: ByteWriter, event: GameEvent | undefined, form: number, learn: boolean): void {
    if (event === undefined) {
      writer.varint(form);
      return;
    }
    const keys = Object.keys(event.data);
    const known = this.#numberOfTemplate(event.type, keys);
    if (known !== undefined && (learn || known - FIRST < this.profile.templates.length)) {
      writer.varint(known * 4 + form);
      return;
    }
    const template = { type: event.type, keys };
    const remember = learn && this.#hasRoomFor(template);
    writer.varint((remember ? this.#templateCount + FIRST : INLINE) * 4 + form);
    writer.text(event.type);
    writer.varint(keys.length);
    for (const key of keys) writer.text(key);
    if (remember) this.#learnTemplate(template);
  }

  /** Takes over what one that has been told of that template knows of it. */
  teach(template: Template): void {
    if (this.#numberOfTemplate(template.type, template.keys) === undefined && this.#hasRoomFor(template)) {
      this.#learnTemplate(template);
    }
  }

  readTemplate(reader: ByteReader, number: number): Template {
    if (number >= FIRST && number - FIRST < this.#templateCount) {
      const index = number - FIRST;
      const preset = this.profile.templates;
      return (index < preset.length ? preset[index] : this.#templates[index - preset.length]) as Template;
    }
    if (number === INLINE) return readDefinition(reader);
    if (number - FIRST !== this.#templateCount) reader.fail(`has unknown template ${number}`);
    return this.readNextTemplate(reader);
  }

  /** Reads the definition of the next template and remembers it. */
  readNextTemplate(reader: ByteReader): Template {
    const template = readDefinition(reader);
    if (!this.#hasRoomFor(template)) reader.fail('defines more templates than are remembered');
    this.#learnTemplate(template);
    return template;
  }

  /** The number of a state key's name, and whether the name itself must follow. `learn` as for `writeTemplate`. */
  numberOfName(name: string, learn: boolean): { number: number; isSpelled: boolean } {
    const known = this.#numbersOfNames().get(name);
    if (known !== undefined && (learn || known < this.profile.names.length)) return { number: known, isSpelled: false };
    checkStateKey(name);
    if (!learn || this.#names.length >= LIMITS.vocabulary) return { number: INLINE_NAME, isSpelled: true };
    this.#learnName(name);
    return { number: this.#nameCount - 1, isSpelled: true };
  }

  readName(reader: ByteReader, number: number): string {
    const preset = this.profile.names;
    if (number < preset.length) return preset[number] as string;
    const learned = this.#names[number - preset.length];
    if (learned !== undefined) return learned;
    if (number === INLINE_NAME) return readStateKey(reader);
    if (number !== this.#nameCount) reader.fail(`has unknown state key number ${number}`);
    return this.readNextName(reader);
  }

  /** Reads the next name and remembers it. */
  readNextName(reader: ByteReader): string {
    const name = readStateKey(reader);
    if (this.#names.length >= LIMITS.vocabulary) reader.fail('names more state keys than are remembered');
    if (this.#numbersOfNames().has(name)) reader.fail('names a state key twice');
    this.#learnName(name);
    return name;
  }

  get #templateCount(): number {
    return this.profile.templates.length + this.#templates.length;
  }

  get #nameCount(): number {
    return this.profile.names.length + this.#names.length;
  }

  #hasRoomFor(template: Template): boolean {
    const units = this.#templateUnits + unitsOf(template);
    return this.#templates.length < LIMITS.vocabulary && units <= LIMITS.vocabularyUnits;
  }

  #learnTemplate(template: Template): void {
    this.#mark = undefined;
    this.#templates.push(template);
    this.#templateUnits += unitsOf(template);
    if (this.#templateNumbers) addNumbered(this.#templateNumbers, template, this.#templateCount - 1 + FIRST);
  }

  #learnName(name: string): void {
    this.#mark = undefined;
    this.#names.push(name);
    this.#nameNumbers?.set(name, this.#nameCount - 1);
  }

  #numberOfTemplate(type: string, keys: readonly string[]): number | undefined {
    if (!this.#templateNumbers) {
      this.#templateNumbers = new Map();
      const all = [...this.profile.templates, ...this.#templates];
      for (const [index, template] of all.entries()) addNumbered(this.#templateNumbers, template, index + FIRST);
    }
    return this.#templateNumbers.get(type)?.find((known) => isSame(known.keys, keys))?.number;
  }

  #numbersOfNames(): Map<string, number> {
    this.#nameNumbers ??= new Map([...this.profile.names, ...this.#names].map((name, index) => [name, index]));
    return this.#nameNumbers;
  }
}

interface NumberedTemplate {
  readonly keys: readonly string[];
  readonly number: number;
}

function addNumbered(numbers: Map<string, NumberedTemplate[]>, { type, keys }: Template, number: number): void {
  const sameType = numbers.get(type);
  if (sameType) sameType.push({ keys, number });
  else numbers.set(type, [{ keys, number }]);
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((key, index) => key === other[index]);
}

function readDefinition(reader: ByteReader): Template {
  const type = reader.text();
  const count = reader.count(1);
  if (count > LIMITS.nodes) reader.fail(`has a template of ${count} keys, more than ${LIMITS.nodes},`);
  const keys = new Set<string>();
  for (let i = 0; i < count; i++) {
    const key = reader.text();
    if (isForbiddenKey(key)) reader.fail(`has the data key ${key}, which is not allowed,`);
    if (keys.has(key)) reader.fail('has the same data key twice');
    keys.add(key);
  }
  return { type, keys: [...keys] };
}

function readStateKey(reader: ByteReader): string {
  const bytes = reader.varint();
  if (bytes > LIMITS.keyBytes) reader.fail(`has a state key of ${bytes} bytes, more than ${LIMITS.keyBytes},`);
  const key = reader.utf8(bytes);
  if (isForbiddenKey(key)) reader.fail(`has the state key ${key}, which is not allowed,`);
  return key;
}

/** What a template counts towards `LIMITS.vocabularyUnits`. */
function unitsOf({ type, keys }: Template): number {
  return keys.reduce((units, key) => units + key.length + 1, type.length + 1);
}
