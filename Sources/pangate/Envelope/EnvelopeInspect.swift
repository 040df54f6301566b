import ArgumentParser
import Envelope
import Foundation
import Wire

/// `pangate envelope inspect`.
struct EnvelopeInspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show an envelope: structure, header, signature, who can read it, and what it says.",
    discussion: """
      The signature is checked if the sender's key is known: from a peer record (--peers), a certificate
      (--certificate) or your own identity. A confidential content is shown if --identity is one of its recipients.
      Expiry and replay are not judged: an envelope may be old and still be worth a look.
      """)

  @Argument(help: "Envelope, binary or in hexadecimal (- is standard input).")
  var file: String

  @Option(help: "Signed peer record: gives names and keys. Repeatable. A sealed one needs --identity.")
  var peers: [String] = []

  @Option(help: "Identity file: opens what is sealed for it.")
  var identity: String?

  @Option(help: "Certificate or identity file of a possible sender. Repeatable.")
  var certificate: [String] = []

  @Option(help: "Largest envelope to accept, in bytes.")
  var maximumSize = SignedEnvelope.defaultMaximumSize

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    guard maximumSize > 0 else {
      throw Failure.usage("--maximum-size \(maximumSize): give a number of bytes above 0")
    }
    let own = try identity.map(IdentityFiles.identity)
    var known = KnownParties(own: own)
    for path in certificate { known.add(try IdentityFiles.publicIdentity(path)) }
    for path in peers { try known.addPeers(path) }
    let bytes = try EnvelopeInspect.bytes(of: file)
    let report = EnvelopeReport(file: file, bytes: bytes, maximumSize: maximumSize, known: known)
    print(json ? JSONOutput.line(report) : report.text)
    if !report.errors.isEmpty { throw ExitCode(Exit.inputErrors) }
  }

  /// The bytes of a file that is binary or hexadecimal text. No envelope is both: one begins with 0xd2.
  static func bytes(of path: String) throws -> [UInt8] {
    let bytes = try InputFile.bytes(path)
    guard !bytes.isEmpty else { throw Failure.cannotStart("\(path): is empty") }
    if bytes.first != 0xd2, let text = String(validating: bytes, as: UTF8.self),
      let decoded = [UInt8](hex: text.trimmingCharacters(in: .whitespacesAndNewlines)), !decoded.isEmpty
    {
      return decoded
    }
    return bytes
  }
}

/// Whose keys and names the command was given.
struct KnownParties {
  let own: Identity?
  private(set) var identities: [PublicIdentity] = []
  private(set) var names: [Address: String] = [:]
  /// What the peer records were, and whether they are to be believed.
  private(set) var notes: [String] = []

  init(own: Identity?) {
    self.own = own
    if let own { add(own.public) }
  }

  mutating func add(_ identity: PublicIdentity, name: String? = nil) {
    if !identities.contains(identity) { identities.append(identity) }
    names[identity.address] = name ?? names[identity.address] ?? identity.name
  }

  /// Adds the members of a signed peer record.
  mutating func addPeers(_ path: String) throws {
    let record: PeerRecord
    let envelope: SignedEnvelope
    do {
      envelope = try SignedEnvelope(parsing: try EnvelopeInspect.bytes(of: path))
      guard let content = try envelope.readableContent ?? own.map({ try envelope.open(with: $0) }) else {
        throw Failure.cannotStart(
          "\(path): is sealed: give --identity with the identity of a member it is for")
      }
      guard content.format == ContentFormats.peerRecord else {
        throw Failure.cannotStart("\(path): holds no peer record: give the file that the oracle sent")
      }
      record = try PeerRecord(parsing: content.bytes)
    } catch let error as ParseError {
      let hint =
        switch error.reason {
        case .envelopeNotForUs, .coseDecryptionFailed: ": it is sealed for somebody else than --identity"
        default: ": it is no peer record of an oracle, or was damaged"
        }
      throw Failure.cannotStart("\(path): \(error)\(hint)")
    }
    // Only a certificate that was given on the command line says who the oracle is; the record cannot say it of itself.
    let pinned = identities.first { envelope.header.sender.matches($0.address) }
    var standing = "its signature is not checked: give --certificate with the oracle's certificate"
    if let pinned {
      guard (try? envelope.verify(with: pinned.signingKey)) != nil else {
        throw Failure.cannotStart(
          "\(path): its signature is not that of \(Printable.line(pinned.name)): do not use it")
      }
      standing = "signed by \(Printable.line(pinned.name))"
    }
    notes.append("\(path): peer record of epoch \(record.version.epoch), \(standing)")
    for member in record.members { add(member.identity, name: member.name) }
  }

  /// Those that a reference may mean.
  func candidates(_ reference: AddressReference) -> [PublicIdentity] {
    identities.filter { reference.matches($0.address) }
  }

  /// The name of a party, if one is known.
  func name(_ reference: AddressReference) -> String? {
    candidates(reference).first.flatMap { names[$0.address] }.map(Printable.line)
  }
}
