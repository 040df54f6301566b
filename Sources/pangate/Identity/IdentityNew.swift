import ArgumentParser
import Envelope
import Foundation
import Wire

/// `pangate identity new`.
struct IdentityNew: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Make a new identity and write it to a file that only you can read.")

  @Option(help: "Name in the certificate, 1 to 64 characters: a label, the address is what counts.")
  var name: String

  @Option(
    name: [.customShort("o"), .customLong("output")],
    help: "File to write (default: NAME.pem; - is standard output).")
  var output: String?

  @Flag(help: "Overwrite the file if it exists. The identity in it is lost.")
  var force = false

  func run() throws {
    let path = output ?? "\(name).pem"
    if output == nil, name.contains("/") || name.hasPrefix(".") {
      throw Failure.usage("the name '\(name)' is not fit for a file name: give the file with -o")
    }
    var random = SystemRandomNumberGenerator()
    let identity: Identity
    do {
      identity = try Identity.new(
        name: name, validFrom: Instant(seconds: Int64(Date().timeIntervalSince1970)), using: &random)
    } catch { throw Failure.usage(error.description) }
    let text = IdentityFile.text(of: identity)
    guard path != "-" else {
      print(text, terminator: "")
      return
    }
    try SecretFile.write(text, to: path, force: force)
    print("\(path): identity '\(name)'")
    print("address  \(identity.address)")
  }
}
