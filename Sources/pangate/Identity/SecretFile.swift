// Holds `unsafe`: the system calls that take a path as a C string.

import Foundation

/// Writing files with private keys.
enum SecretFile {
  /// Writes `text` with mode 0600 from the first moment, never over an existing file unless `force` is set, and
  /// complete or not at all.
  static func write(_ text: String, to path: String, force: Bool) throws {
    try write(Data(text.utf8), to: path, force: force)
  }

  /// The same for any bytes.
  static func write(_ bytes: Data, to path: String, force: Bool) throws {
    if !force, FileManager.default.fileExists(atPath: path) { throw exists(path) }
    let temporary = "\(path).new-\(ProcessInfo.processInfo.processIdentifier)"
    // O_EXCL: nobody can have put a link there.
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(path, errno) }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    defer { unsafe unlink(temporary) }
    do {
      try handle.write(contentsOf: bytes)
      try handle.synchronize()
      try handle.close()
    } catch {
      throw Failure.cannotStart("\(path): cannot be written: \(error.localizedDescription)")
    }
    if force {
      guard unsafe rename(temporary, path) == 0 else { throw failure(path, errno) }
    } else {
      // link() refuses an existing name, which a rename would replace: two runs at once cannot lose an identity.
      guard unsafe link(temporary, path) == 0 else {
        throw errno == EEXIST ? exists(path) : failure(path, errno)
      }
    }
  }

  private static func exists(_ path: String) -> Failure {
    .cannotStart(
      "\(path): exists already, and an identity that is overwritten is lost: choose another name, or give --force"
    )
  }

  private static func failure(_ path: String, _ code: Int32) -> Failure {
    let reason = POSIXErrorCode(rawValue: code).map { POSIXError($0).localizedDescription } ?? "error \(code)"
    return .cannotStart("\(path): cannot be written: \(reason)")
  }
}
