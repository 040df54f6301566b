import ArgumentParser
import Foundation

/// The exit codes of every command.
enum Exit {
  /// Done.
  static let done: Int32 = 0
  /// The job was done, and the input held errors that were reported.
  static let inputErrors: Int32 = 1
  /// Wrong usage: an unknown option, a value that cannot be read.
  static let usage: Int32 = 2
  /// Could not start: a file, a key, a configuration or a state directory is missing, unreadable or in use.
  static let cannotStart: Int32 = 3

  static let help = """
    EXIT CODES
      0  done
      1  done, and the input held errors, which are reported
      2  wrong usage
      3  could not start: a file, key, configuration or state directory is missing, unreadable or in use
    """
}

/// A failure that ends a command with one clear line and an exit code.
struct Failure: Error, CustomStringConvertible {
  var description: String
  var code: Int32

  static func cannotStart(_ text: String) -> Failure { Failure(description: text, code: Exit.cannotStart) }
  static func usage(_ text: String) -> Failure { Failure(description: text, code: Exit.usage) }
}

/// Writes a line to standard error.
func note(_ text: String) {
  FileHandle.standardError.write(Data((text + "\n").utf8))
}

/// Writes a line to standard output at once, for commands that go on.
func show(_ line: String) {
  FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
