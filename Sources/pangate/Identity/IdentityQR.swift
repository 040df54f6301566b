import ArgumentParser
import Envelope

/// `pangate identity qr`.
struct IdentityQR: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "qr",
    abstract: "Print the text of the QR code that enrols a device.",
    discussion: """
      The text is PANGATE:1:CLASS:F:ADDRESS or PANGATE:1:CLASS:C:CERTIFICATE:AGREEMENTKEY, the last fields in Base32
      (RFC 4648); all characters are of QR's alphanumeric set. It holds nothing secret.
      To draw it: pangate identity qr lock.pem --class auth-only | qrencode -t ANSIUTF8
      """)

  enum Form: String, ExpressibleByArgument, CaseIterable {
    case certificate, fingerprint
  }

  @Argument(help: "Identity file in PEM; the fingerprint form also takes a certificate alone.")
  var file: String

  @Option(help: "certificate (all that the oracle needs) or fingerprint (short, for small labels).")
  var form: Form = .certificate

  @Option(
    name: .customLong("class"),
    help: "What the device's traffic needs: no-consequence, auth-only or confidential.")
  var classWord: String

  func run() throws {
    guard let needed = EnvelopeClass(name: classWord), needed != .stream else {
      throw Failure.usage("--class \(classWord): expected no-consequence, auth-only or confidential")
    }
    switch form {
    case .fingerprint:
      print(EnrolmentCode(fingerprint: try IdentityFiles.publicIdentity(file).address, class: needed))
    case .certificate:
      print(EnrolmentCode(certificateOf: try IdentityFiles.identity(file), class: needed))
    }
  }
}
