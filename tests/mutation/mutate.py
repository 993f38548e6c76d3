"""mutate.py ROOT NAME OUT: writes a source of the tree with one bug of mutations.json planted in it."""
import json
import os
import sys


def main():
    root, name, out = sys.argv[1:]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "mutations.json")) as f:
        mutation = next(m for m in json.load(f) if m["name"] == name)
    with open(os.path.join(root, mutation["file"])) as f:
        text = f.read()
    places = text.count(mutation["find"])
    if places != 1:
        sys.exit(f"{name}: its text occurs {places} times in {mutation['file']}, not once: mend mutations.json")
    with open(out, "w") as f:
        f.write(text.replace(mutation["find"], mutation["replace"]))


if __name__ == "__main__":
    main()
