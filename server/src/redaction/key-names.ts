/** Names of keys that type nothing, as keyboard events of browsers name them. */
const KEY_NAME =
  /^(?:Backspace|Delete|Escape|Home|End|Page(?:Up|Down)|Insert|Arrow(?:Up|Down|Left|Right)|Shift|Control|Ctrl|Alt|AltGraph|Meta|CapsLock|NumLock|ScrollLock|ContextMenu|Dead|Process|Unidentified|Pause|PrintScreen|F\d{1,2})$/;
/** Names of keys that type something else. */
const TYPED: Readonly<Record<string, string>> = { Enter: '\n', Tab: '\t', Space: ' ' };

/** Whether a text is the name of a key, and what that key types if it types anything. */
export function keyNameOf(text: string): { readonly isKey: boolean; readonly text?: string } {
  const typed = Object.hasOwn(TYPED, text) ? TYPED[text] : undefined;
  if (typed !== undefined) return { isKey: true, text: typed };
  return { isKey: KEY_NAME.test(text) };
}
