"""Reads a recording as shared/FORMAT.md describes it, proves it, and prints what is in it as JSON, like the files beside it.

    python3 read_lmsp.py [--verify] FILE…

Written from FORMAT.md and DELTA.md, which were completed where they did not suffice; standard library only. It reads whole files, and
everything in them: it shows that the pages are enough, and is a start for readers in other languages, not a fast one.
"""

import hashlib
import json
import math
import struct
import sys
import zlib

from lmsp_delta import PROFILES, Bytes, Damaged, Producer, Slot, canonical, need, patch_text

SYNC = bytes.fromhex("9f6774626b0d0a1a")
EVENTS, INDEX = 1, 2
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HEADER = struct.Struct("<8sBBBB16sIQQqqIIIIIII")
KNOWN = range(1, 15)
MAX_PAYLOAD, MAX_RATIO = 24 << 20, 1032


class Block:
    """One block: its header's fields, and the records of its payload."""

    def __init__(self, data, offset):
        need(len(data) - offset >= 92, f"block at {offset}: cut short")
        self.offset = offset
        fields = HEADER.unpack_from(data, offset)
        sync, version, self.kind, codec, self.flags, self.recording, self.epoch = fields[:7]
        self.first_seq, self.last_seq, self.first_time, self.last_time, self.entries = fields[7:12]
        raw, stored, stored_crc, self.previous_length, self.previous_crc, self.crc = fields[12:]
        need(sync == SYNC and version == 1, f"block at {offset}: no sync marker")
        need(zlib.crc32(data[offset : offset + 88]) == self.crc, f"block at {offset}: header crc32")
        need(self.kind in (EVENTS, INDEX) and codec in (0, 1), f"block at {offset}: kind {self.kind}, codec {codec}")
        need(raw <= MAX_PAYLOAD and raw <= stored * MAX_RATIO, f"block at {offset}: raw length {raw} of {stored}")
        self.length = 92 + stored
        self.bytes = data[offset : offset + self.length]
        payload = self.bytes[92:]
        need(len(payload) == stored, f"block at {offset}: cut short")
        need(zlib.crc32(payload) == stored_crc, f"block at {offset}: stored crc32")
        if codec == 1:
            inflater = zlib.decompressobj(-15)
            payload = inflater.decompress(payload, raw + 1)
            need(inflater.eof and not inflater.unused_data, f"block at {offset}: deflate")
        need(len(payload) == raw, f"block at {offset}: raw length")
        self.records = list(records_of(payload))

    def of(self, type_):
        return [Bytes(content) for number, content in self.records if number == type_]

    def unknown(self):
        return [[number, content.hex()] for number, content in self.records if number not in KNOWN]

    def one(self, type_):
        found = self.of(type_)
        need(len(found) <= 1, f"block at {self.offset}: {len(found)} records of type {type_}")
        return found[0] if found else None


def records_of(payload):
    source = Bytes(payload)
    while source.left:
        yield source.varint(), source.take(source.varint())


# --- records -------------------------------------------------------------------------------------------------------------------


def read_value(source):
    found = source.value()
    source.end()
    return found


def read_producer(source):
    found = {"index": source.varint(), "player": source.text(), "instance": source.text()}
    source.end()
    return found


def read_checkpoint(source):
    found = {"name": source.text(), "seq": source.varint(), "eventIndex": source.varint(), "time": source.zigzag()}
    found["hashes"] = [[source.varint(), source.unpack("<I")] for _ in range(source.count())]
    source.end()
    return found


def read_gap(source):
    found = {"producer": source.varint(), "firstPseq": source.varint(), "lastPseq": source.varint(), "reason": source.text()}
    source.end()
    return found


class Keyframe:
    """A producer before some entry of a block. `before` holds the latest keyframe of each producer, for a later one."""

    def __init__(self, source, before=None):
        self.entry = source.varint() if before is not None else 0
        self.producer = source.varint()
        self.pseq, self.time, self.hlc, self.stamp = source.varint(), source.zigzag(), source.varint(), source.zigzag()
        base = before.get(self.producer) if before is not None else None
        need(before is None or base is not None, f"a later keyframe of {self.producer} without one before")
        self.templates = base.templates[: source.varint()] if base else []
        self.names = base.names[: source.varint()] if base else []
        for _ in range(source.count()):
            self.templates = [*self.templates, (source.text(), [source.text() for _ in range(source.count())])]
        self.names = [*self.names, *[source.text() for _ in range(source.count())]]
        form = source.byte()
        need(form <= (2 if base else 1), f"form {form} of a keyframe")
        self.keys = []
        if form == 1:
            self.keys = [(source.text(), source.value(), source.varint(), source.byte()) for _ in range(source.count())]
        elif form == 2:
            self.keys = list(base.keys)
            for _ in range(source.count()):
                place = source.varint()
                key, old = self.keys[place][:2]
                value = source.value() if source.byte() == 0 else patched(old, source)
                self.keys[place] = (key, value, source.varint(), source.byte())
        source.end()

    def producer_in(self, profile):
        found = Producer(profile)
        found.pseq, found.time, found.hlc, found.stamp = self.pseq, self.time, self.hlc, self.stamp
        found.templates, found.names = list(self.templates), list(self.names)
        found.state.move(self.stamp)
        for key, value, position, follows in self.keys:
            slot = found.state.slots[key] = Slot(value, position)
            if follows:
                found.state.follow(slot)
        return found


def patched(text, source):
    at = 0
    for _ in range(source.count()):
        at += source.varint()
        remove, insert = source.varint(), source.text()
        text = patch_text(text, at, remove, insert)
        at += len(insert.encode("utf-16-le")) // 2
    return text


def read_clock(source):
    found = {"paused": source.varint()}
    if source.byte() == 1:
        found["since"] = source.zigzag()
        found["holders"] = [source.text() for _ in range(source.count())]
    source.end()
    return found


def read_pauses(source):
    found, end = [], 0
    for _ in range(source.count()):
        start = end + source.zigzag()
        end = start + source.varint()
        found.append([start, end])
    source.end()
    return found


def read_markers(source):
    types = [source.text() for _ in range(source.count())]
    found, seq, index, time = [], 0, 0, 0
    for _ in range(source.count()):
        type_, producer = types[source.varint()], source.varint()
        seq, index, time = seq + source.zigzag(), index + source.varint(), time + source.zigzag()
        found.append({"type": type_, "producer": producer, "seq": seq, "eventIndex": index, "time": time})
    source.end()
    return found


def read_blocks(source):
    found, end, last = [], 16, 0
    for _ in range(source.count()):
        row = {"offset": end + source.varint(), "length": source.varint(), "entries": source.varint()}
        row |= {"events": source.varint(), "firstSeq": source.varint(), "firstTime": last + source.zigzag()}
        row |= {"lastTime": row["firstTime"] + source.varint(), "headerCrc": source.unpack("<I")}
        end, last = row["offset"] + row["length"], row["lastTime"]
        found.append(row)
    source.end()
    return found


# --- events --------------------------------------------------------------------------------------------------------------------


def unit(source):
    number = source.varint()
    half = number >> 1
    value = -((half + 1) // 2) if half & 1 else half // 2
    return value if number & 1 else value * 100


def read_entries(source, block, producers):
    """The entries of an events record. `producers` holds the keyframes of the block."""
    count = source.varint()
    columns = {}
    while source.left:
        tag = source.byte()
        columns[tag] = Bytes(source.take(source.varint()))
    need(count == block.entries and {1, 3, 7, 8} <= set(columns), f"block at {block.offset}: columns {sorted(columns)} of {count}")
    last = {}
    seq, time = block.first_seq - 1, block.first_time
    found = []
    for _ in range(count):
        number = columns[1].varint()
        producer, is_relays = number >> 1, number & 1
        before = last.get(producer)
        if before is None:
            keyframe = producers.get(producer)
            before = last[producer] = {name: getattr(keyframe, name, 0) for name in ("pseq", "time", "stamp")}
        seq += 1 + (columns[2].zigzag() if 2 in columns else 0)
        time += unit(columns[3])
        entry = {"seq": seq, "producer": producer, "pseq": 0, "time": time, "stamp": None}
        if not is_relays:
            entry["pseq"] = before["pseq"] = before["pseq"] + 1 + (columns[5].zigzag() if 5 in columns else 0)
        entry["hlc"] = columns[6].varint() if 6 in columns else 0
        if not is_relays:
            moved = unit(columns[4]) if 4 in columns else 0
            entry["stamp"] = before["stamp"] = before["stamp"] + (time - before["time"]) + moved
        before["time"] = time
        exact = columns[9].unpack("<d") if 9 in columns else math.nan
        if exact == exact:
            entry["exact"] = exact
        entry["body"] = columns[8].take(columns[7].varint())
        found.append(entry)
    for tag in range(1, 10):
        if tag in columns:
            columns[tag].end()
    return found


# --- a file --------------------------------------------------------------------------------------------------------------------


class Recording:
    def __init__(self, data):
        self.data = data
        magic, version, flags, crc = struct.unpack_from("<4sIII", data)
        need(magic == b"LMSP" and version == 2 and flags == 0 and crc == zlib.crc32(data[:12]), "the header")
        self.footer = self.read_footer()
        self.blocks, self.indexes = self.walk()
        self.index = self.indexes[-1] if self.footer else None
        need(self.blocks, "no intact block")
        first = self.index or self.blocks[0]
        self.meta = read_value(first.one(1))
        self.profile = PROFILES[self.meta["profile"]]
        need(recording_id(first.recording) == self.meta["recordingId"], "the recording's id")

    def read_footer(self):
        """(offset and length of the index, flags, number of events), or None for an unfinished file."""
        footer = self.data[-32:]
        if footer[-4:] != b"LMSP" or zlib.crc32(footer[:24]) != struct.unpack_from("<I", footer, 24)[0]:
            return None
        return struct.unpack_from("<QIIQ", footer)

    def walk(self):
        """The event blocks and the indexes, up to the first that is not intact, and whether they are chained (R4)."""
        blocks, indexes, before, offset = [], [], None, 16
        end = self.footer[0] + self.footer[1] if self.footer else len(self.data)
        while offset < end:
            try:
                block = Block(self.data, offset)
            except Damaged:
                if self.footer:
                    raise
                break
            link = (before.length, before.crc) if before else (0, 0)
            need((block.previous_length, block.previous_crc) == link, f"the chain at {offset}")
            (indexes if block.kind == INDEX else blocks).append(block)
            before, offset = block, offset + block.length
        if self.footer:
            need(indexes and (indexes[-1].offset, indexes[-1].length) == self.footer[:2] and offset == end, "the footer")
            need(end + 32 == len(self.data), "bytes between the index and the footer")
        return blocks, indexes

    def replay(self):
        """Every entry: (block, entry, its event or None, all producers after it, the number of its own)."""
        producers = {}
        for block in self.blocks:
            keyframes = {found.producer: found for found in map(Keyframe, block.of(3))}
            self.compare(producers, keyframes.values(), block)
            later = later_keyframes(block, keyframes)
            producers |= {number: found.producer_in(self.profile) for number, found in keyframes.items()}
            record = block.one(4)
            for place, entry in enumerate(read_entries(record, block, keyframes) if record else []):
                self.compare(producers, [found for found in later if found.entry == place], block)
                producer = producers.setdefault(entry["producer"], Producer(self.profile))
                producer.time, producer.hlc = entry["time"], entry["hlc"]
                if entry["stamp"] is not None:
                    if entry["pseq"] > producer.pseq + 1:
                        producer.lose()
                    producer.pseq, producer.stamp = entry["pseq"], entry["stamp"]
                elif entry["body"][0] & 3 == 2:
                    producer.lose()
                yield block, entry, producer.body(entry["body"], producer.stamp), producers

    def compare(self, producers, keyframes, block):
        """A keyframe says what replay has come to."""
        for found in keyframes:
            if found.producer not in producers:
                continue
            one, other = producers[found.producer], found.producer_in(self.profile)
            for name in ("pseq", "time", "hlc", "stamp", "templates", "names"):
                here, there = getattr(one, name), getattr(other, name)
                need(here == there, f"block at {block.offset}: {name} of producer {found.producer} is {here}, its keyframe says {there}")
            need(one.state.all() == other.state.all(), f"block at {block.offset}: the state of producer {found.producer} is not that of its keyframe")


def later_keyframes(block, keyframes):
    last, found = dict(keyframes), []
    for source in block.of(10):
        keyframe = Keyframe(source, last)
        last[keyframe.producer] = keyframe
        found.append(keyframe)
    return found


def recording_id(bytes_):
    number = int.from_bytes(bytes_, "big")
    return "".join(ALPHABET[number >> (5 * place) & 31] for place in range(25, -1, -1))


def describe(recording):
    """The same fields as the JSON beside each vector, all of it checked against itself on the way."""
    indexes = [recording.index] if recording.index else recording.indexes
    listed = max((index.offset for index in indexes), default=0)
    sources = indexes + [block for block in recording.blocks if block.offset > listed]
    gather = lambda type_, read: [read(source) for block in sources for source in block.of(type_)]
    producers = {found["index"]: found for found in gather(2, read_producer)}
    checkpoints = {found["seq"]: found for found in gather(5, read_checkpoint)}
    summary = read_value(recording.index.one(7)) if recording.index else None
    replay = Replay(recording, producers, checkpoints)
    entries = [replay.step(*found) for found in recording.replay()]
    if recording.index:
        replay.check_index(recording.index, summary)
    for index in recording.indexes[: -1 if recording.index else None]:
        replay.check_index_on_the_way(index)
    return {
        "meta": recording.meta,
        "producers": list(producers.values()),
        "checkpoints": list(checkpoints.values()),
        "gaps": gather(6, read_gap),
        "markers": replay.markers,
        "blocks": list(replay.rows.values()),
        "summary": summary,
        "unknown": [
            [place, *found]
            for place, blocks in (("index", indexes), ("block", recording.blocks))
            for block in blocks
            for found in block.unknown()
        ],
        "lastStates": [[player, canonical(producer.state.now())] for player, producer in replay.current.items()],
        "entries": entries,
    }


class Replay:
    """Takes note of what the index should say, and compares."""

    def __init__(self, recording, producers, checkpoints):
        self.recording, self.producers, self.checkpoints = recording, producers, checkpoints
        self.rows, self.markers, self.play, self.events = {}, [], PlayTime(), 0
        self.current, self.numbers = {}, {}

    def step(self, block, entry, event, producers):
        number, time = entry["producer"], entry["time"]
        player, own = self.producers[number]["player"], producers[number]
        if block.offset not in self.rows:
            self.rows[block.offset] = row_of(block)
            clock = read_clock(block.one(11)) if block.one(11) else {"paused": 0}
            need(clock == self.play.clock(), f"block at {block.offset}: the clock record")
        self.current[player], self.numbers[player] = own, number
        if event is not None:
            if event["type"] in self.recording.profile["markers"]:
                marker = {"type": event["type"], "producer": number, "seq": entry["seq"], "eventIndex": self.events, "time": time}
                self.markers.append(marker)
            self.play.see(player, event, time)
            self.rows[block.offset]["events"] += 1
            self.events += 1
        checkpoint = self.checkpoints.get(entry["seq"])
        need(checkpoint is None or checkpoint["hashes"] == self.hashes(), f"the states at checkpoint {entry['seq']}")
        state_hash = own.state.hash() if own.state.slots else None
        return {**entry, "body": entry["body"].hex(), "event": event, "stateHash": state_hash}

    def hashes(self):
        """Of the latest producer of each player that has a state, as of the last stamp of each."""
        return [[self.numbers[player], producer.state.hash()] for player, producer in self.current.items() if producer.state.slots]

    def check_index(self, index, summary):
        recording = self.recording
        need(read_blocks(index.one(8)) == list(self.rows.values()), "the index: blocks")
        need((read_markers(index.one(12)) if index.one(12) else []) == self.markers[:10_000], "the index: markers")
        need(self.events == summary["events"] == recording.footer[3], "the number of events")
        need(recording.footer[2] & 1 == summary["complete"], "the footer: complete")
        need(sorted(summary["hashes"]) == sorted(self.hashes()), "the last states")
        need(summary["pauses"] == self.play.until(summary["endedAt"]), "the pauses")
        need(summary["durationUs"] == summary["endedAt"] - sum(to - start for start, to in summary["pauses"]), "the duration")
        digest = bytes(32)
        for block in sorted([*recording.blocks, *recording.indexes[:-1]], key=lambda block: block.offset):
            digest = hashlib.sha256(digest + hashlib.sha256(block.bytes).digest()).digest()
        need(summary.get("digest", digest.hex()) == digest.hex(), "the digest")

    def check_index_on_the_way(self, index):
        listed = read_blocks(index.one(8))
        need(all(self.rows.get(row["offset"]) == row for row in listed), f"the index at {index.offset}: blocks")
        pauses = read_pauses(index.one(13)) if index.one(13) else []
        need(all(pause in self.play.pauses for pause in pauses), f"the index at {index.offset}: pauses")
        markers = read_markers(index.one(12)) if index.one(12) else []
        need(all(marker in self.markers for marker in markers), f"the index at {index.offset}: markers")
        distances = [source.varint() for source in index.of(14)]
        before = [other.offset for other in self.recording.indexes if other.offset < index.offset]
        need([index.offset - distance for distance in distances] == before[-1:], f"the index at {index.offset}: the previous one")


def row_of(block):
    row = {"offset": block.offset, "length": block.length, "entries": block.entries, "events": 0, "firstSeq": block.first_seq}
    return row | {"firstTime": block.first_time, "lastTime": block.last_time, "headerCrc": block.crc}


class PlayTime:
    """Pauses, from the events that pause and resume (T7)."""

    def __init__(self):
        self.pauses, self.holders, self.since = [], [], None

    def see(self, player, event, time):
        if event["type"] == "speed_change" and event["data"].get("speed") == 0:
            self.since = time if self.since is None else self.since
            if player not in self.holders:
                self.holders.append(player)
        elif event["type"] in ("speed_change", "player_leave") and player in self.holders:
            self.holders.remove(player)
            if not self.holders:
                start = max(self.since, self.pauses[-1][1] if self.pauses else self.since)
                self.pauses += [[start, time]] if time > start else []
                self.since = None

    def clock(self):
        over = {"paused": sum(end - start for start, end in self.pauses)}
        return over | {"since": self.since, "holders": self.holders} if self.holders else over

    def until(self, end):
        lasting = [] if self.since is None else [[self.since, end]]
        cut = [[start, min(to, end)] for start, to in self.pauses + lasting]
        return [pause for pause in cut if pause[0] < pause[1]]


def main(args):
    """Without `--verify` a line of JSON for each file; with it, what is wrong with each. Exits with 5 for damaged ones."""
    is_verifying, status = "--verify" in args, 0
    for path in args:
        if path == "--verify":
            continue
        try:
            with open(path, "rb") as file:
                recording = Recording(file.read())
            found = describe(recording)
            verdict = f"{path}: {'intact' if recording.index else 'unfinished'}"
            print(verdict if is_verifying else json.dumps(found, ensure_ascii=False))
        except (Damaged, ValueError, struct.error) as error:
            print(f"{path}: damaged: {error}", file=sys.stdout if is_verifying else sys.stderr)
            status = 5
    return status


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1:]))
