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
