import Envelope
import Foundation

/// Opening and writing identity files; what is in them is ``IdentityFile``'s.
enum IdentityFiles {
  /// A whole identity, with its private keys.
  static func identity(_ path: String) throws -> Identity {
    let text = try InputFile.text(path)
    do {
      return try IdentityFile.identity(text, file: path)
    } catch { throw Failure.cannotStart(error.description) }
  }

  /// The certificate at the start of an identity file or alone in one.
  static func publicIdentity(_ path: String) throws -> PublicIdentity {
    let text = try InputFile.text(path)
    do {
      return try IdentityFile.publicIdentity(text, file: path)
    } catch { throw Failure.cannotStart(error.description) }
  }

  /// Writes private keys: mode 0600 from the first moment, never over an existing file unless `force` is set, and
  /// complete or not at all.
  static func writeSecret(_ text: String, to path: String, force: Bool) throws {
    if !force, FileManager.default.fileExists(atPath: path) {
      throw Failure.cannotStart(
        "\(path): exists already: an identity that is overwritten is lost; choose another name, or give --force")
    }
    let temporary = path + ".new-\(ProcessInfo.processInfo.processIdentifier)"
    // O_EXCL: nobody can have put a link there.
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(path, "cannot be written") }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try handle.write(contentsOf: Data(text.utf8))
      try handle.synchronize()
      try handle.close()
    } catch {
      unlink(temporary)
      throw Failure.cannotStart("\(path): cannot be written: \(error.localizedDescription)")
    }
    // link() refuses an existing name, which a rename would replace: two runs at once cannot lose an identity.
    if !force {
      let linked = link(temporary, path)
      let reason = failure(path, "cannot be written")
      unlink(temporary)
      guard linked == 0 else { throw reason }
    } else {
      guard rename(temporary, path) == 0 else {
        let reason = failure(path, "cannot be written")
        unlink(temporary)
        throw reason
      }
    }
  }

  /// The last system error about `path`.
  private static func failure(_ path: String, _ what: String) -> Failure {
    Failure.cannotStart("\(path): \(what): \(POSIXErrorCode(rawValue: errno).map { POSIXError($0).localizedDescription } ?? "error \(errno)")")
  }
}

/// Reading the files that commands are given; `-` is standard input.
enum InputFile {
  static func bytes(_ path: String) throws -> [UInt8] {
    do {
      if path == "-" { return [UInt8](try FileHandle.standardInput.readToEnd() ?? Data()) }
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw Failure.cannotStart("\(path): cannot be read: \(error.localizedDescription)")
    }
  }

  static func text(_ path: String) throws -> String {
    guard let text = String(validating: try bytes(path), as: UTF8.self) else {
      throw Failure.cannotStart("\(path): not a text file: expected PEM")
    }
    return text
  }
}
