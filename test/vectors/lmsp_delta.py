"""Values, states and event bodies as shared/DELTA.md describes them. Standard library only."""

import json
import math
import struct
import zlib

SAFE = 2**53 - 1
FORBIDDEN = {"__proto__", "prototype", "constructor"}
MAX_DEPTH, MAX_NODES = 16, 20_000
INLINE_NAME = 16_383
CLOCK_LIMIT = 2**51

COMMON_TEMPLATES = [
    ("keystroke", ["char", "modifiers"]),
    ("player_join", ["name"]),
    ("player_leave", ["reason"]),
    ("player_message", ["message"]),
    ("checkpoint", ["name"]),
    ("rewind", ["name"]),
    ("speed_change", ["speed"]),
    ("button_press", ["button"]),
    ("button_release", ["button"]),
    ("trigger_pressure", ["trigger", "pressure"]),
    ("stick_move", ["stick", "x", "y"]),
]
LMSP_TEMPLATES = [
    ("challenge_start", ["challenge_id"]),
    ("challenge_complete", ["challenge_id", "success"]),
    ("test_run", ["tests_total"]),
    ("test_pass", ["tests_passing", "tests_total"]),
    ("test_fail", ["tests_passing", "tests_total"]),
    ("emotional_prompt", ["dimension"]),
    ("emotional_response", ["dimension", "value"]),
    ("recommendation", ["challenge_id"]),
    ("concept_unlock", ["concept_id"]),
    ("mastery_level_up", ["concept_id", "level"]),
]
LMSP_NAMES = """current_code cursor_position tests_passing session_duration tests_total hints_used current_emotion challenge_id
    challenge_started_at mastery_levels challenges_completed concepts_mastered other_players ast_tree player_id""".split()
COMMON_MARKERS = {"player_join", "player_leave", "rewind", "speed_change"}
LMSP_MARKERS = {"challenge_start", "challenge_complete", "concept_unlock", "mastery_level_up"}
PROFILES = {
    "json": {"templates": COMMON_TEMPLATES, "names": [], "clock": set(), "markers": COMMON_MARKERS},
    "lmsp": {
        "templates": COMMON_TEMPLATES + LMSP_TEMPLATES,
        "names": LMSP_NAMES,
        "clock": {"session_duration"},
        "markers": COMMON_MARKERS | LMSP_MARKERS,
    },
}


class Damaged(Exception):
    """The bytes are not what the pages say."""


def need(fact, what):
    if not fact:
        raise Damaged(what)


class Bytes:
    """Reads numbers, texts and values one after another."""

    def __init__(self, data):
        self.data = bytes(data)
        self.at = 0

    @property
    def left(self):
        return len(self.data) - self.at

    def take(self, length):
        need(0 <= length <= self.left, f"{length} bytes at {self.at}: only {self.left} are left")
        self.at += length
        return self.data[self.at - length : self.at]

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def byte(self):
        return self.take(1)[0]

    def peek(self):
        need(self.left, "nothing is left")
        return self.data[self.at]

    def varint(self):
        number = 0
        for place in range(8):
            byte = self.byte()
            number |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                need(number <= SAFE, "a varint over 2^53 - 1")
                return number
        raise Damaged("a varint of more than 8 bytes")

    def zigzag(self):
        number = self.varint()
        return -((number + 1) // 2) if number & 1 else number // 2

    def count(self):
        """How many things follow; each takes a byte at least."""
        number = self.varint()
        need(number <= self.left, f"{number} things in {self.left} bytes")
        return number

    def text(self):
        return self.take(self.varint()).decode("utf-8")

    def value(self):
        return Value(self).read(1)

    def end(self):
        need(self.left == 0, f"{self.left} bytes trail")


class Value:
    """One MessagePack value of the kinds that are allowed."""

    def __init__(self, source):
        self.source = source
        self.nodes = 0

    def read(self, depth):
        self.nodes += 1
        need(self.nodes <= MAX_NODES and depth <= MAX_DEPTH, "a value too deep or too large")
        head = self.source.byte()
        if head < 0x80:
            return head
        if head < 0x90:
            return self.map(head & 0x0F, depth)
        if head < 0xA0:
            return self.array(head & 0x0F, depth)
        if head < 0xC0:
            return self.source.take(head & 0x1F).decode("utf-8")
        if head >= 0xE0:
            return head - 0x100
        fixed = {0xC0: None, 0xC2: False, 0xC3: True}
        if head in fixed:
            return fixed[head]
        if 0xCA <= head <= 0xD3:
            return number_of(self.source.unpack(">" + "fdBHIQbhiq"[head - 0xCA]))
        sizes = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}
        need(head in sizes, f"byte {head:02x} begins no value that is allowed")
        size = self.source.unpack(sizes[head])
        if head <= 0xDB:
            return self.source.take(size).decode("utf-8")
        return self.array(size, depth) if head <= 0xDD else self.map(size, depth)

    def array(self, size, depth):
        need(size <= self.source.left, "an array longer than its bytes")
        return [self.read(depth + 1) for _ in range(size)]

    def map(self, size, depth):
        need(size * 2 <= self.source.left, "a map longer than its bytes")
        found = {}
        for _ in range(size):
            self.nodes -= 1  # Keys are not counted.
            key = self.read(depth)
            need(isinstance(key, str) and key not in found and key not in FORBIDDEN, f"a key {key!r}")
            found[key] = self.read(depth + 1)
        return found


def number_of(number):
    """A number as ECMAScript has it: whole ones are one kind, and -0 is 0."""
    if isinstance(number, int):
        need(abs(number) <= SAFE, f"a whole number beyond 2^53: {number}")
        return number
    need(number == number and number not in (float("inf"), float("-inf")), "a number that is not finite")
    return int(number) if number == int(number) and abs(number) <= SAFE else number


def print_number(number):
    """As ECMAScript prints it."""
    if isinstance(number, int):
        return str(number)
    sign, digits, exponent = ("-" if number < 0 else ""), *split_digits(abs(number))
    size = len(digits)
    if size <= exponent <= 21:
        return sign + digits + "0" * (exponent - size)
    if 0 < exponent <= 21:
        return f"{sign}{digits[:exponent]}.{digits[exponent:]}"
    if -6 < exponent <= 0:
        return f"{sign}0.{'0' * -exponent}{digits}"
    fraction = f".{digits[1:]}" if size > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent - 1)}"


def split_digits(number):
    """The shortest digits, and the power of ten that the point stands behind: 0.012 is ('12', -1)."""
    mantissa, _, power = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    exponent = len(whole) + int(power or 0)
    stripped = digits.lstrip("0")
    return stripped.rstrip("0"), exponent - (len(digits) - len(stripped))


def units(text):
    return text.encode("utf-16-be")


def canonical(value):
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value, key=units)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return print_number(value)
    return json.dumps(value, ensure_ascii=False)


def patch_text(text, at, remove, insert):
    """Positions are UTF-16 code units; both cuts lie between code points."""
    encoded = text.encode("utf-16-le")
    need(0 <= at and at + remove <= len(encoded) // 2, f"a cut at {at} of {len(encoded) // 2}")
    try:
        before, _, after = (
            part.decode("utf-16-le")
            for part in (encoded[: at * 2], encoded[at * 2 : (at + remove) * 2], encoded[(at + remove) * 2 :])
        )
    except UnicodeDecodeError:
        raise Damaged(f"a cut inside a code point at {at}") from None
    return before + insert + after


def length_of(text):
    return len(units(text)) // 2


class Slot:
    """One key of a state. One that follows the clock has `base`: its value in whole microseconds at the stamp `since`."""

    def __init__(self, value, position=0):
        self.value = value
        self.position = position
        self.base = None
        self.since = 0
        self.stay = 0


def whole_microseconds(value):
    """Rounded, halves up; None for what cannot follow the clock."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value * 1e6) > CLOCK_LIMIT:
        return None
    return math.floor(value * 1e6 + 0.5)


class State:
    def __init__(self, profile):
        self.profile = profile
        self.slots = {}
        self.stamp = 0
        self.stay = 0

    def move(self, stamp):
        """The producer's clock is at `stamp` now. `stay` tells whether it has moved since, even if back to the same number."""
        self.stay += stamp != self.stamp
        self.stamp = stamp

    def follow(self, slot):
        slot.base, slot.since, slot.stay = whole_microseconds(slot.value), self.stamp, self.stay

    def replace(self, pairs):
        self.slots = {}
        for key, value in pairs:
            need(key not in self.slots, f"the key {key!r} twice")
            self.slots[key] = Slot(value)
            if key in self.profile["clock"]:
                self.follow(self.slots[key])

    def value_of(self, slot):
        if slot.base is None or slot.stay == self.stay:
            return slot.value
        return number_of((slot.base + self.stamp - slot.since) / 1e6)

    def now(self):
        return {key: self.value_of(slot) for key, slot in self.slots.items()}

    def all(self):
        """Everything that the next delta depends on."""
        return [(key, self.value_of(slot), slot.position, slot.base is None) for key, slot in self.slots.items()]

    def hash(self):
        return zlib.crc32(canonical(self.now()).encode("utf-8"))

    def apply(self, key, op, source, echo):
        slots = self.slots
        if op == 0:
            slots[key] = Slot(source.value())
            return
        need(key in slots, f"a change of {key!r}, which is not there")
        slot = slots[key]
        if op == 1:
            del slots[key]
        elif op in (2, 3, 4, 6):
            need(isinstance(slot.value, str), f"an edit of {key!r}, which is no text")
            move, remove = (0, 0) if op == 2 else (source.zigzag(), source.varint())
            insert = source.text() if op == 4 else "" if op == 6 else echo
            need(insert is not None, "an echo of an event without a text")
            at = slot.position + move
            slot.value = patch_text(slot.value, at, remove, insert)
            slot.position = at + length_of(insert)
        elif op == 5:
            self.add(key, slot, source)
        else:
            path = [source.value() for _ in range(source.count())]
            need(isinstance(slot.value, (dict, list)), "nest changes arrays and maps")
            slots[key] = Slot(nest(slot.value, path, source))

    def add(self, key, slot, source):
        if isinstance(slot.value, list):
            slot.value = [whole(whole(item) + source.zigzag()) for item in slot.value]
        elif key in self.profile["clock"]:
            before = whole_microseconds(self.value_of(slot))
            need(before is not None, f"add to {key!r}")
            slot.value = number_of((before + source.zigzag()) / 1e6)
            self.follow(slot)
            need(slot.base is not None, f"add to {key!r}")
        else:
            slot.value = whole(whole(slot.value) + source.zigzag())


def whole(number):
    need(isinstance(number, int) and not isinstance(number, bool) and abs(number) <= SAFE, "add to something else")
    return number


def nest(value, path, source):
    """The value with a change made to what the path leads to."""
    if not path:
        return change(value, source)
    step, *rest = path
    if isinstance(value, list):
        need(whole(step) in range(len(value)), f"item {step} of {len(value)}")
        changed, is_there = list(value), True
    else:
        need(isinstance(value, dict) and isinstance(step, str) and step not in FORBIDDEN, f"a step {step!r}")
        changed, is_there = dict(value), step in value
    if not rest and source.peek() == 1:
        source.byte()
        need(is_there, f"a delete of {step!r}")
        del changed[step]
    else:
        need(is_there or (not rest and source.peek() == 0), f"a path through {step!r}")
        changed[step] = nest(changed.get(step) if isinstance(changed, dict) else changed[step], rest, source)
    return changed


def change(value, source):
    kind = source.byte()
    if kind == 0:
        return source.value()
    need(kind == 2, f"change {kind}")
    at, remove = source.varint(), source.varint()
    items = [source.value() for _ in range(source.count())]
    need(isinstance(value, list) and at + remove <= len(value), "a splice of an array that does not fit")
    return value[:at] + items + value[at + remove :]


class Producer:
    """What decoding one producer's next body needs."""

    def __init__(self, profile):
        self.profile = profile
        self.templates, self.names = [], []
        self.state = State(profile)
        self.pseq = self.time = self.hlc = self.stamp = 0

    def body(self, encoded, stamp):
        """The event, or None. The state is changed as the body says."""
        source = Bytes(encoded)
        head = source.varint()
        template, form = head >> 2, head & 3
        need(template or form, "a body without event and state part")
        event = self.event(source, template)
        self.state.move(stamp)
        if form == 2:
            self.state.replace([(self.name(source), source.value()) for _ in range(source.count())])
        elif form:
            check = source.unpack("<I") if form == 3 else None
            echo = next((value for value in (event or {"data": {}})["data"].values() if isinstance(value, str)), None)
            while source.left:
                op = source.byte()
                key = self.name(source) if op & 31 == 31 else self.name(source, op & 31)
                self.state.apply(key, op >> 5, source, echo)
            need(check is None or check == self.state.hash(), "a wrong check")
        source.end()
        return event

    def event(self, source, number):
        if number == 0:
            return None
        known = self.profile["templates"] + self.templates
        need(number - 2 <= len(known), f"template {number} of {len(known)}")
        if number >= 2 and number - 2 < len(known):
            type_, keys = known[number - 2]
        else:
            type_, keys = source.text(), [source.text() for _ in range(source.count())]
            need(len(set(keys)) == len(keys) and not FORBIDDEN & set(keys), "the keys of a template")
            if number != 1:
                self.templates.append((type_, keys))
        return {"type": type_, "data": {key: source.value() for key in keys}}

    def name(self, source, number=None):
        number = source.varint() if number is None else number
        if number == INLINE_NAME:
            return source.text()
        known = self.profile["names"] + self.names
        need(number <= len(known), f"name {number} of {len(known)}")
        if number < len(known):
            return known[number]
        self.names.append(source.text())
        return self.names[-1]

    def lose(self):
        """Events are missing: the vocabulary is the profile's again."""
        self.templates, self.names = [], []
