"""The seed's own Python as the other side of L2. Usage: seed-side.py SEED_DIR VERB ARGS..."""
import gzip
import json
import os
import pickle
import random
import sys

sys.path.insert(0, sys.argv[1])
import lmsp_seed as seed  # noqa: E402

TYPES = list(seed.EventType)
LETTERS = 'abc xyz\n\t"\\/\x00\x1f\x7f\u00e9\u2028\u4e2d\U0001f600\U0001d11e{}[]:,'


def text(rng, most):
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(0, most)))


def value(rng, depth):
    kind = rng.randint(0, 7 if depth > 0 else 5)
    if kind == 6:
        return [value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    if kind == 7:
        return {text(rng, 5): value(rng, depth - 1) for _ in range(rng.randint(0, 3))}
    whole = rng.choice([0, -1, 127, 2**31, 2**53, -(2**53)])
    number = rng.choice([0.0, -0.0, 1e300, 5e-324, 0.1, rng.random()])
    return [None, True, False, whole, number, text(rng, 8)][kind]


def state(rng, player):
    return seed.GameState(
        current_code="", cursor_position=(0, 0), ast_tree=None, challenge_id=text(rng, 4), challenge_started_at=rng.random(),
        tests_passing=0, tests_total=3, hints_used=0, player_id=player, mastery_levels={}, current_emotion=None,
        session_duration=0.0, challenges_completed=[], concepts_mastered=[],
    )


def step(rng, old, timestamp, exact_clock):
    new = seed.GameState.from_dict(json.loads(json.dumps(old.to_dict())))
    at = rng.randint(0, len(new.current_code))
    new.current_code = new.current_code[:at] + text(rng, 6) + new.current_code[at + rng.randint(0, 3):]
    new.cursor_position = (new.current_code.count("\n"), rng.randint(0, 80))
    new.session_duration = timestamp if exact_clock else rng.choice([timestamp + rng.random(), old.session_duration])
    if rng.random() < 0.2:
        new.mastery_levels[text(rng, 3)] = rng.randint(0, 5)
    if rng.random() < 0.1:
        new.ast_tree = rng.choice([None, {"body": value(rng, 6)}])
    if rng.random() < 0.1:
        new.current_emotion = rng.choice([None, (text(rng, 4), rng.random())])
    if rng.random() < 0.1:
        new.other_players.append({"player_id": text(rng, 4), "data": value(rng, 2)})
    if rng.random() < 0.1:
        new.challenges_completed.append(text(rng, 4))
    if rng.random() < 0.1 and new.concepts_mastered:
        new.concepts_mastered.pop(0)
    return new


def session(rng):
    players = [rng.choice(["wings", "", "Zoë 😀", "p4", "a/../b"]) + str(i) for i in range(rng.randint(1, 4))]
    states = {player: state(rng, player) for player in players}
    recording = seed.Recording(player_id=players[0], challenge_id=text(rng, 5), created_at=rng.choice([0.0, 1700000000.125]))
    checkpoints = seed.CheckpointManager(recording)
    exact_clock = rng.random() < 0.5
    timestamp = rng.choice([0.0, 0.00012516975402832031, 1700000000.123456])
    for index in range(rng.choice([0, 1, 7, 200])):
        timestamp = max(0.0, timestamp + rng.choice([0.0, rng.random(), 0.001, 0.00012516975402832031, -0.01]))
        player = rng.choice(players)
        states[player] = step(rng, states[player], timestamp, exact_clock)
        data = rng.choice([{}, {"char": text(rng, 2), "modifiers": []}, {text(rng, 4): value(rng, 4)}, {"speed": rng.choice([0, 1])}])
        event = seed.GameEvent(type=rng.choice(TYPES), player_id=player, data=data)
        recording.events.append(seed.RecordedEvent(timestamp=timestamp, event=event, game_state=states[player]))
        if rng.random() < 0.05:
            checkpoints.create(f"{text(rng, 4)}{index}", index)
    recording.duration = timestamp
    recording.success = rng.random() < 0.5
    recording.final_code = text(rng, 30)
    recording.final_time = rng.random()
    return recording


def generate(folder, first, count):
    for number in range(int(first), int(first) + int(count)):
        recording = session(random.Random(number))
        seed.save_compressed(recording, os.path.join(folder, f"{number}.lmsp.gz"))
        seed.export_json(recording, os.path.join(folder, f"{number}.json"))


def export_binary(recording, path, protocol):
    """BinaryFormat.export as the Python versions do it that have this protocol as their default."""
    dumps = pickle.dumps
    seed.pickle.dumps = lambda value: dumps(value, protocol)
    try:
        seed.BinaryFormat.export(recording, path)
    finally:
        seed.pickle.dumps = dumps


def binary(folder, first, count):
    """Sessions as BinaryFormat, each protocol in turn, and the JSON of what the seed loads from those."""
    for number in range(int(first), int(first) + int(count)):
        path = os.path.join(folder, f"{number}.bin")
        export_binary(session(random.Random(number)), path, number % 6)
        seed.export_json(seed.BinaryFormat.import_from(path), os.path.join(folder, f"{number}.json"))


def real(trace, path, limit):
    """The first edits of a real session."""
    with gzip.open(trace, "rt", encoding="utf-8") as file:
        document = json.load(file)
    new = state(random.Random(1), "writer")
    new.current_code = document.get("startContent", "")
    recording = seed.Recording(player_id="writer", challenge_id="real", created_at=1700000000.5)
    patches = [patch for change in document["txns"] for patch in change["patches"]]
    for index, (at, removed, inserted) in enumerate(patches[: int(limit)]):
        new = seed.GameState.from_dict(json.loads(json.dumps(new.to_dict())))
        new.current_code = new.current_code[:at] + inserted + new.current_code[at + removed:]
        new.session_duration = index * 0.1
        event = seed.GameEvent(seed.EventType.KEYSTROKE, "writer", {"char": inserted or "Backspace", "modifiers": []})
        recording.events.append(seed.RecordedEvent(timestamp=index * 0.1, event=event, game_state=new))
        if index % 500 == 499:
            recording.checkpoints[f"at {index}"] = index
    recording.duration = len(recording.events) * 0.1
    seed.BinaryFormat.export(recording, f"{path}.bin")
    seed.export_json(seed.BinaryFormat.import_from(f"{path}.bin"), f"{path}.json")


def values(folder, expressions):
    """For each expression a session whose event 0 has that value at data.x, in protocols 2 to 5, with JSON where there is any."""
    for number, expression in enumerate(json.loads(expressions)):
        data = {"x": eval(expression, {"seed": seed, "old": state(random.Random(1), "p")})}
        event = seed.GameEvent(seed.EventType.KEYSTROKE, "p", data)
        recording = seed.Recording(events=[seed.RecordedEvent(0.5, event, state(random.Random(1), "p"))])
        for protocol in range(2, 6):
            export_binary(recording, os.path.join(folder, f"{number}-{protocol}.bin"), protocol)
        try:
            text = json.dumps(recording.to_dict())
        except (TypeError, ValueError):
            continue
        with open(os.path.join(folder, f"{number}.json"), "w", encoding="utf-8") as file:
            file.write(text)


def load(path):
    return seed.load_compressed(path) if path.endswith(".gz") else seed.import_json(path)


def raw(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def check(path, expected):
    """What the seed loads from our file is what the test says was recorded."""
    recording = load(path)
    with open(expected, encoding="utf-8") as file:
        wanted = json.load(file)
    found = recording.to_dict()
    for name, wanted_value in wanted.items():
        assert found[name] == wanted_value, f"{name}: {found[name]!r:.300} is not {wanted_value!r:.300}"


def same(*paths):
    """The files of each pair hold the same JSON value, and so does what the seed loads from them."""
    for one, other in zip(paths[::2], paths[1::2]):
        assert raw(one) == raw(other), f"{one} differs from {other}"
        assert load(one) == load(other), f"{one} loads differently from {other}"


def compress(states):
    """The compressor's results for a list of states."""
    compressor = seed.DeltaCompressor()
    with open(states, encoding="utf-8") as file:
        print(json.dumps([compressor.compress(seed.GameState.from_dict(one)) for one in json.load(file)]))


VERBS = [generate, binary, real, values, check, same, compress]
{verb.__name__: verb for verb in VERBS}[sys.argv[2]](*sys.argv[3:])
