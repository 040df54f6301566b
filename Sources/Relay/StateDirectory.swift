import Foundation
import Queue

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The directory of a store, held by one process at a time.
///
/// The lock is an advisory one on a file that stays: the kernel gives it up when the process ends, however it
/// ends.
final class StateDirectory {
  let path: String
  /// The database file in it.
  let databasePath: String
  private let lock: FileHandle

  /// Makes the directory (mode 0700) and an empty database file (mode 0600) if there are none, takes the lock, and
  /// puts all that on the disk.
  init(_ path: String) throws(StoreError) {
    self.path = path
    databasePath = path + "/pangate.sqlite"
    let files = FileManager.default
    do {
      try files.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw StoreError(.notWritable, path: path, detail: "cannot be made a directory")
    }
    let lockPath = path + "/lock"
    for file in [lockPath, databasePath] where !files.fileExists(atPath: file) {
      guard files.createFile(atPath: file, contents: nil, attributes: [.posixPermissions: 0o600]) else {
        throw StoreError(.notWritable, path: file, detail: "cannot be created")
      }
    }
    guard let lock = FileHandle(forUpdatingAtPath: lockPath) else {
      throw StoreError(.notWritable, path: lockPath, detail: "cannot be opened")
    }
    guard flock(lock.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else { throw StoreError(.inUse, path: path) }
    self.lock = lock
    try sync()
  }

  /// Gives the directory up.
  func release() { try? lock.close() }

  /// Sees to it that nothing that is read from now on can go with the power.
  ///
  /// The files may be as a process left them that was killed before its sync. The names count up to the root: to sync a
  /// file says nothing of the directory that it is in, nor of where that one is.
  private func sync() throws(StoreError) {
    for file in [databasePath, databasePath + "-wal"] where FileManager.default.fileExists(atPath: file) {
      try Self.sync(file, mayBeOthers: false)
    }
    var folder = URL(fileURLWithPath: path).resolvingSymlinksInPath()
    try Self.sync(folder.path, mayBeOthers: false)
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      try Self.sync(folder.path, mayBeOthers: true)
    }
  }

  /// A directory that this process may not read was not made by it.
  private static func sync(_ path: String, mayBeOthers: Bool) throws(StoreError) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if mayBeOthers { return }
      throw StoreError(.notWritable, path: path, detail: "cannot be opened")
    }
    defer { close(file) }
    // Not every file system can do it for directories, or needs it.
    guard fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS else {
      throw StoreError(.failed, path: path, detail: "cannot be synced")
    }
  }
}
