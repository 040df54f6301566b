"""A disk that loses what was not synced: reads the log of powercut.c and makes directories as a power cut can leave them.

What was written to a file before its last completed fsync is there. Each later write is there or is not, by itself, or is torn
at the boundaries of 512-byte sectors; the size may have grown without the bytes. Names are contents of their directory: what
was made, renamed or removed is so for certain only when the directory was synced, and a new directory only when its parent
was. That is what POSIX promises; file systems promise more, each of them something else.
"""

import copy
import os
import shutil
import struct
import subprocess
import time

import relay_lab as lab

SECTOR = 512
BEFORE, AFTER = struct.Struct("=cc2xII4xQQQ"), struct.Struct("=cc2xIqQQ")
OPEN, MKDIR, WRITE, TRUNCATE, SYNC, SYNC_ALL, RENAME, UNLINK, RMDIR, UNKNOWN = b"odwtsSruDx"
NAMES = {
    MKDIR: "mkdir",
    WRITE: "write",
    TRUNCATE: "truncate",
    SYNC: "sync",
    SYNC_ALL: "sync all",
    RENAME: "rename",
    UNLINK: "unlink",
    RMDIR: "rmdir",
    UNKNOWN: "?",
}


def library(folder):
    """Compiles the library; its path."""
    out = folder / "powercut.so"
    source = lab.HERE / "powercut.c"
    said = "no C compiler"
    for compiler in ("cc", "clang", "gcc"):
        if shutil.which(compiler) is None:
            continue
        command = [compiler, "-O2", "-fPIC", "-shared", "-Wall", "-o", out, source, "-ldl", "-lpthread"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return out
        said = f"{compiler}: {done.stderr.strip()[-300:]}"
    raise lab.CannotRun(f"the library that watches the files cannot be compiled: {said}")


# MARK: The log


class Operation:
    __slots__ = ("kind", "path", "data", "file", "offset", "size", "result", "time", "created")

    def __str__(self):
        if self.kind == OPEN:
            return "make" if self.created else "open"
        return NAMES[self.kind]


class Log:
    """The operations so far; `read` takes in what has been added."""

    def __init__(self, path):
        self.path = path
        self.operations = []
        self._read = 0

    def read(self, root):
        """To be called when the process is gone, with the directory as it has left it."""
        data = self.path.read_bytes() if self.path.exists() else b""
        position, open_at = self._read, None
        while position < len(data):
            step = BEFORE.size if data[position] == ord("B") else AFTER.size
            if position + step > len(data):
                break
            if data[position] == ord("B"):
                one = Operation()
                _, kind, path, count, one.file, one.offset, one.size = BEFORE.unpack_from(data, position)
                end = position + step + path + count
                if end > len(data):
                    break
                one.kind, one.created, one.result, one.time = kind[0], False, -1, None
                one.path = data[position + step : position + step + path].decode()
                one.data = data[position + step + path : end]
                self.operations.append(one)
                open_at, position = position, end
            else:
                one = self.operations[-1]
                _, _, one.created, one.result, one.time, file = AFTER.unpack_from(data, position)
                one.file = file or one.file
                open_at, position = None, position + step
        # What a kill has cut off was not begun, or was not seen to end: then the directory tells what came of it.
        with self.path.open("ab") as log:
            log.truncate(position)
            if open_at is not None:
                one = self.operations[-1]
                self._find_out(one, root)
                one.time = time.monotonic_ns()
                log.write(AFTER.pack(b"A", bytes([one.kind]), one.created, one.result, one.time, one.file))
        self._read = self.path.stat().st_size
        if any(one.kind == UNKNOWN for one in self.operations):
            one = next(one for one in self.operations if one.kind == UNKNOWN)
            raise lab.CannotRun(f"the relay changes its files in a way that is not followed: {one.path}")

    @staticmethod
    def _find_out(one, root):
        there = os.path.lexists(one.path) if one.path else False
        if one.kind in (WRITE, TRUNCATE):
            for path in root.rglob("*"):
                if path.stat().st_ino == one.file and path.is_file():
                    content = path.read_bytes()
                    if one.kind == TRUNCATE:
                        one.result = 0 if len(content) == one.size else -1
                        continue
                    # Shortened by pages, if at all.
                    for count in sorted({len(one.data), *range(0, len(one.data), SECTOR)}, reverse=True):
                        if content[one.offset : one.offset + count] == one.data[:count]:
                            one.result = count or -1
                            break
        elif one.kind in (OPEN, MKDIR):
            one.created = bool(one.offset) or one.kind == MKDIR
            if there:
                one.result, one.file = 0, os.lstat(one.path).st_ino
        elif one.kind == RENAME:
            to = one.data.decode()
            one.result = 0 if os.path.lexists(to) and os.lstat(to).st_ino == one.file else -1
        elif one.kind in (UNLINK, RMDIR):
            one.result = -1 if there else 0


# MARK: The disk


class Node:
    """A file or a directory: what is on the disk for certain, and what came since."""

    def __init__(self, durable):
        self.durable = durable
        self.pending = []

    @property
    def is_directory(self):
        return isinstance(self.durable, dict)

    def sync(self):
        for change in self.pending:
            apply(self.durable, change)
        self.pending.clear()

    def content(self, changes):
        content = self.durable.copy()
        for change in changes:
            apply(content, change)
        return content


def apply(content, change):
    kind, *rest = change
    if kind == "write":
        offset, data = rest
        if offset > len(content):
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data
    elif kind == "size":
        (size,) = rest
        del content[size:]
        content.extend(bytes(size - len(content)))
    elif kind == "name":
        # A node, or none; a rename is two names changed at once.
        for name, node in rest[0]:
            if node is None:
                content.pop(name, None)
            else:
                content[name] = node


class Disk:
    """The directory `root`, which is there for certain with all that is in it now.

    `ignoring` says which syncs do nothing, as on a disk that lies: those of "files", those of "directories".
    """

    def __init__(self, root, ignoring=()):
        self.ignoring = frozenset(ignoring)
        self.nodes = {}
        self.root = self._load(root)
        self.names = {}
        self._remember(str(root), self.root)

    def _load(self, path):
        if path.is_dir():
            node = Node({child.name: self._load(child) for child in path.iterdir() if not child.name.endswith("-shm")})
        else:
            node = Node(bytearray(path.read_bytes()))
        self.nodes[path.stat().st_ino] = node
        return node

    def _remember(self, path, node):
        self.names[path] = node
        if node.is_directory:
            for name, child in node.durable.items():
                self._remember(f"{path}/{name}", child)

    def _parent(self, path):
        folder, name = path.rsplit("/", 1)
        return self.names[folder], name

    def copy(self, ignoring=()):
        """Another disk with the same on it."""
        other = copy.deepcopy(self)
        other.ignoring = frozenset(ignoring)
        return other

    def begin(self, one):
        """What an operation changes, which may come to the disk at once, before it is done."""
        if one.kind == WRITE:
            self._node(one).pending.append(("write", one.offset, one.data))
        elif one.kind == TRUNCATE:
            self._node(one).pending.append(("size", one.size))
        elif one.result < 0:
            pass
        elif one.kind in (OPEN, MKDIR) and one.created:
            node = Node({} if one.kind == MKDIR else bytearray())
            self.nodes[one.file] = self.names[one.path] = node
            parent, name = self._parent(one.path)
            parent.pending.append(("name", [(name, node)]))
        elif one.kind == OPEN and one.size:
            self._node(one).pending.append(("size", 0))
        elif one.kind == RENAME:
            to = one.data.decode()
            (parent, old), (other, new) = self._parent(one.path), self._parent(to)
            node = self.names.pop(one.path)
            if node.is_directory or parent is not other:
                raise lab.CannotRun(f"the relay moves {one.path} to {to}, which is not followed")
            self.names[to] = node
            parent.pending.append(("name", [(old, None), (new, node)]))
        elif one.kind in (UNLINK, RMDIR):
            parent, name = self._parent(one.path)
            del self.names[one.path]
            parent.pending.append(("name", [(name, None)]))

    def finish(self, one):
        """It has returned: a sync has put what there was on the disk, a write has taken so many bytes."""
        if one.kind == WRITE and one.result < len(one.data):
            pending = self._node(one).pending
            pending.pop()
            if one.result > 0:
                pending.append(("write", one.offset, one.data[: one.result]))
        elif one.kind == TRUNCATE and one.result < 0:
            self._node(one).pending.pop()
        elif one.kind in (SYNC, SYNC_ALL) and one.result >= 0:
            for node in [self._node(one)] if one.kind == SYNC else self.nodes.values():
                if ("directories" if node.is_directory else "files") not in self.ignoring:
                    node.sync()

    def _node(self, one):
        if one.file not in self.nodes:
            raise lab.CannotRun("the relay writes to a file that was not seen to be opened")
        return self.nodes[one.file]

    def what(self, one):
        """The operation and its file, for a table."""
        if one.path:
            return f"{one} {one.path.rsplit('/', 1)[1]}"
        node = self.nodes.get(one.file)
        name = next((path for path, other in self.names.items() if other is node), "/?").rsplit("/", 1)[1]
        return f"{one} {'directory' if node and node.is_directory else name}"

    # MARK: What is left of it

    def leave(self, folder, draw, how=None):
        """Writes what a power cut leaves: of each file and directory what is drawn, or as `how` says."""
        self._leave(self.root, folder, draw, how)

    def _leave(self, node, path, draw, how):
        content = node.content(survivors(node, draw, how))
        if not node.is_directory:
            path.write_bytes(content)
            return
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        for name, child in sorted(content.items()):
            self._leave(child, path / name, draw, how)


def survivors(node, draw, how=None):
    """Which of the changes since the last sync have come to the disk."""
    changes = node.pending
    how = how or draw.choice(("none", "all", "all but one", "in order", "each", "each"))
    if not changes or how == "none":
        left = []
    elif how == "all":
        left = list(changes)
    elif how == "all but one":
        out = draw.randrange(len(changes))
        left = [*changes[:out], *torn(changes[out], draw), *changes[out + 1 :]]
    elif how == "in order":
        end = draw.randrange(len(changes))
        left = [*changes[:end], *torn(changes[end], draw)]
    else:
        likely = draw.choice((0.1, 0.5, 0.9))
        left = []
        for change in changes:
            fate = draw.random()
            if fate < 0.2:
                left += torn(change, draw)
            elif draw.random() < likely:
                left.append(change)
    if how not in ("none", "all") and not node.is_directory and draw.random() < 0.2:
        # The size is there, and the bytes are not.
        grown = max((change[1] + len(change[2]) for change in changes if change[0] == "write"), default=0)
        if grown > len(node.durable) and not any(change[0] == "size" for change in changes):
            left.insert(0, ("size", grown))
    return left


def torn(change, draw):
    """Some sectors of a write; nothing of anything else."""
    if change[0] != "write":
        return []
    _, offset, data = change
    pieces, start = [], 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (offset + start) % SECTOR)
        pieces.append(("write", offset + start, data[start:end]))
        start = end
    if draw.random() < 0.5:
        return pieces[: draw.randrange(len(pieces) + 1)]
    return [piece for piece in pieces if draw.random() < 0.5]


def differences(one, other):
    """Names of what differs between two directories, shared memory left out."""

    def content(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")
            if not path.name.endswith("-shm")
        }

    first, second = content(one), content(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name, 0) != second.get(name, 0))
