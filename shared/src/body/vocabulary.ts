import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { GametapeError } from '../errors.ts';
import type { GameEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { Profile, Template } from '../profile/profile.ts';
import { isForbiddenKey } from '../values/json.ts';

const INLINE = 1;
const FIRST = 2;

/**
 * The event templates and state key names that one producer and its readers share. It starts as the profile's and grows
 * as bodies define more; both sides of a connection see the same bodies in the same order, so they agree.
 */
export class Vocabulary {
  readonly profile: Profile;
  readonly #templates: Template[] = [];
  readonly #names: string[] = [];
  /** Numbers by text, built only when something is encoded. */
  #templateNumbers: Map<string, number> | undefined;
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

  /** A point to return to if what is being read turns out to be bad. */
  mark(): { templates: number; names: number } {
    return { templates: this.#templates.length, names: this.#names.length };
  }

  reset(mark: { templates: number; names: number }): void {
    if (this.#templates.length === mark.templates && this.#names.length === mark.names) return;
    this.#templates.length = mark.templates;
    this.#names.length = mark.names;
    this.#templateNumbers = undefined;
    this.#nameNumbers = undefined;
  }

  learnTemplate(template: Template): void {
    this.#templates.push(template);
    this.#templateNumbers?.set(templateKey(template.type, template.keys), this.#templateCount - 1 + FIRST);
  }

  learnName(name: string): void {
    this.#names.push(name);
    this.#nameNumbers?.set(name, this.#nameCount - 1);
  }

  /** Writes the head of a body, with the definition of its template if the other side cannot know it. */
  writeTemplate(writer: ByteWriter, event: GameEvent | undefined, form: number, learn: boolean): void {
    if (event === undefined) {
      writer.varint(form);
      return;
    }
    const keys = Object.keys(event.data);
    const known = this.#numbersOfTemplates().get(templateKey(event.type, keys));
    if (known !== undefined) {
      writer.varint(known * 4 + form);
      return;
    }
    const remember = learn && this.#templates.length < LIMITS.vocabulary;
    writer.varint((remember ? this.#templateCount + FIRST : INLINE) * 4 + form);
    writer.text(event.type);
    writer.varint(keys.length);
    for (const key of keys) writer.text(key);
    if (remember) this.learnTemplate({ type: event.type, keys });
  }

  readTemplate(reader: ByteReader, number: number): Template {
    if (number >= FIRST && number - FIRST < this.#templateCount) {
      const index = number - FIRST;
      const preset = this.profile.templates;
      return (index < preset.length ? preset[index] : this.#templates[index - preset.length]) as Template;
    }
    if (number !== INLINE && number - FIRST !== this.#templateCount) reader.fail(`has unknown template ${number}`);
    const type = reader.text();
    const keys: string[] = [];
    for (let count = reader.count(1); count > 0; count--) {
      const key = reader.text();
      if (isForbiddenKey(key)) reader.fail(`has the data key ${key}, which is not allowed,`);
      if (keys.includes(key)) reader.fail('has the same data key twice');
      keys.push(key);
    }
    const template = { type, keys };
    if (number !== INLINE) {
      if (this.#templates.length >= LIMITS.vocabulary) reader.fail('defines more templates than are remembered');
      this.learnTemplate(template);
    }
    return template;
  }

  /** The number of a state key's name, and whether the name itself must follow because it is new. */
  numberOfName(name: string): { number: number; isNew: boolean } {
    const known = this.#numbersOfNames().get(name);
    if (known !== undefined) return { number: known, isNew: false };
    if (this.#names.length >= LIMITS.vocabulary) {
      throw new GametapeError(
        'LIMIT_EXCEEDED',
        `state key ${name}: more than ${LIMITS.vocabulary} names in one session`,
      );
    }
    this.learnName(name);
    return { number: this.#nameCount - 1, isNew: true };
  }

  readName(reader: ByteReader, number: number): string {
    const preset = this.profile.names;
    if (number < preset.length) return preset[number] as string;
    const learned = this.#names[number - preset.length];
    if (learned !== undefined) return learned;
    if (number !== this.#nameCount) reader.fail(`has unknown state key number ${number}`);
    const name = reader.text();
    if (isForbiddenKey(name)) reader.fail(`has the state key ${name}, which is not allowed,`);
    if (this.#names.length >= LIMITS.vocabulary) reader.fail('names more state keys than are remembered');
    if (this.#numbersOfNames().has(name)) reader.fail('names a state key twice');
    this.learnName(name);
    return name;
  }

  get #templateCount(): number {
    return this.profile.templates.length + this.#templates.length;
  }

  get #nameCount(): number {
    return this.profile.names.length + this.#names.length;
  }

  #numbersOfTemplates(): Map<string, number> {
    if (!this.#templateNumbers) {
      const all = [...this.profile.templates, ...this.#templates];
      this.#templateNumbers = new Map(all.map(({ type, keys }, index) => [templateKey(type, keys), index + FIRST]));
    }
    return this.#templateNumbers;
  }

  #numbersOfNames(): Map<string, number> {
    this.#nameNumbers ??= new Map([...this.profile.names, ...this.#names].map((name, index) => [name, index]));
    return this.#nameNumbers;
  }
}

function templateKey(type: string, keys: readonly string[]): string {
  return keys.length === 0 ? type : `${type}\0${keys.join('\0')}`;
}
