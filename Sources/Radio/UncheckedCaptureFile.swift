// Holds `unsafe`: the system calls of files that are written without a buffer.

import Foundation
import Wire

/// A file that is written in whole blocks: what is cut off by an error is taken back.
struct CaptureFile: ~Copyable {
  /// What stands in the way of a new file.
  enum Existing: Equatable {
    case nothing
    case file(size: Int)
    /// A folder, a link, a device.
    case other
  }

  private let name: String
  private let descriptor: Int32
  private let isOwned: Bool
  /// Bytes written.
  private(set) var size = 0
  /// Whether a part of a block stands at the end that could not be taken back.
  private(set) var isDamaged = false

  /// Creates `path`, or empties it. `mode` is limited by the umask. If `isExclusive`, nothing may be there, not even a link.
  ///
  /// Throws ``CaptureError/Kind/cannotWrite``.
  init(creating path: String, mode: UInt16 = 0o666, isExclusive: Bool = false) throws(CaptureError) {
    let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (isExclusive ? O_EXCL : O_TRUNC)
    descriptor = unsafe open(path, flags, mode_t(mode))
    name = path
    isOwned = true
    guard descriptor >= 0 else { throw Self.failure(path) }
  }

  /// Standard output, which stays open.
  init(standardOutputNamed name: String) {
    self.name = name
    descriptor = STDOUT_FILENO
    isOwned = false
  }

  deinit { if isOwned { close(descriptor) } }

  /// Writes all of `bytes`, or throws and leaves the file as it was, unless it ``isDamaged``.
  mutating func append(_ bytes: [UInt8]) throws(CaptureError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes[done...].withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        let failure = Self.failure(name)
        isDamaged = done > 0 && (ftruncate(descriptor, size) != 0 || lseek(descriptor, size, SEEK_SET) != size)
        throw failure
      }
      done += count
    }
    size += bytes.count
  }

  static func existing(_ path: String) -> Existing {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return .nothing }
    return status.st_mode & S_IFMT == S_IFREG ? .file(size: Int(status.st_size)) : .other
  }

  /// Gives `old` the name `new`, which it replaces.
  static func rename(_ old: String, to new: String) throws(CaptureError) {
    guard unsafe Foundation.rename(old, new) == 0 else { throw failure(old) }
  }

  static func remove(_ path: String) throws(CaptureError) {
    guard unsafe unlink(path) == 0 else { throw failure(path) }
  }

  private static func failure(_ name: String) -> CaptureError {
    CaptureError(.cannotWrite, file: name, detail: unsafe String(cString: strerror(errno)))
  }
}
