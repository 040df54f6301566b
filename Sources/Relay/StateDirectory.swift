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

  /// Makes the directory (mode 0700) and an empty database file (mode 0600) if there are none, and takes the
  /// lock.
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
  }

  /// Gives the directory up.
  func release() { try? lock.close() }
}
