import ArgumentParser
import Crypto
import Envelope
import Foundation
import Oracle
import Wire

/// `pangate oracle admit`
struct OracleAdmitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admit", abstract: "Admit a member by its code or its identity file, or change one of the same name.",
    discussion: """
      A node signs for itself unless --trait vouched says that its gateway does, after the node has proven itself to it
      by EDHOC.

      EXAMPLES
        pangate oracle admit --name relay --role relay --identity relay.pem --url coaps+tcp://relay.example
        pangate oracle admit --name home --role gateway --identity gateway.pem
        pangate oracle admit --name lock --role node --gateway home --reader phone --commander phone \\
          --eui64 0022334455667788 --trait sleeps --trait clockless --code 'PANGATE:1:1:C:...'

      \(Exit.help)
      """)

  enum Role: String, ExpressibleByArgument, CaseIterable {
    case node, gateway, endpoint, relay

    var roles: Roles {
      switch self {
      case .node: .node
      case .gateway: .gateway
      case .endpoint: .endpoint
      case .relay: .relay
      }
    }
  }

  enum Trait: String, ExpressibleByArgument, CaseIterable {
    case sleeps, clockless, vouched
    case coapServer = "coap-server"

    var traits: Traits {
      switch self {
      case .sleeps: .sleeps
      case .clockless: .clockless
      case .vouched: .vouched
      case .coapServer: .coapServer
      }
    }
  }

  @OptionGroup var options: OracleOptions
  @Option(help: "Its name in the group.") var name: String
  @Option(help: "What it is: node, gateway, endpoint or relay.") var role: Role
  @Option(help: "The text of its code, in the certificate form ('pangate identity qr' prints it); '-' reads it.")
  var code: String?
  @Option(help: "Its identity file, instead of a code.") var identity: String?
  @Option(
    name: .customLong("class"),
    help: "What its traffic needs: no-consequence, auth-only, confidential. The code's if not given.")
  var classWord: String?
  @Option(help: "Its radio's EUI-64, 16 hexadecimal digits.") var eui64: String?
  @Option(help: "Who reads what it reports.") var reader: [String] = []
  @Option(help: "Who may command it.") var commander: [String] = []
  @Option(help: "The gateway that hosts it.") var gateway: String?
  @Option(help: "What is special about it: sleeps, clockless, coap-server, vouched.") var trait: [Trait] = []
  @Option(help: "Of a relay: the URL under which it is reached.") var url: String?
  @Flag(help: "Of a gateway: give its radio network a new link key.") var newLinkKey = false
  @OptionGroup var publishing: PublishOptions
  @Flag(help: "As JSON, one object a line.") var json = false

  func validate() throws {
    guard (code == nil) != (identity == nil) else { throw ValidationError("give --code or --identity, one of them") }
    guard url == nil || role == .relay else { throw ValidationError("--url is for relays") }
    guard !newLinkKey || role == .gateway else { throw ValidationError("--new-link-key is for gateways") }
  }

  func run() async throws {
    let admission = try admission()
    let state = try OracleState(options.state)
    let linkKey = OracleState.random(LinkKey.length)
    let old = state.oracle.member(admission.identity.address)
    try state.change { (oracle) throws(OracleError) in
      var admission = admission
      // What was configured stays.
      admission.configuration = old?.configuration ?? [:]
      try oracle.admit(admission, now: OracleState.now)
      if let url { try oracle.setRelay(name, url: url, now: OracleState.now) }
      if newLinkKey { try oracle.setLinkKey(of: name, to: linkKey, now: OracleState.now) }
    }
    let member = state.oracle.member(named: name)
    if !json {
      print(
        "\(name): \(old == nil ? "admitted" : "changed") in epoch \(state.oracle.record.version.epoch), "
          + "class \(member?.class.name ?? ""), address \(admission.identity.address)")
    }
    try await publishing.run(state, json: json)
    state.close()
  }

  private func admission() throws -> Admission {
    var stated: EnvelopeClass?
    let known: PublicIdentity
    let agreementKey: P256.KeyAgreement.PublicKey
    if let identity {
      let whole = try IdentityFiles.identity(identity)
      (known, agreementKey) = (whole.public, whole.agreementKey.publicKey)
    } else {
      let text = code == "-" ? try InputFile.text("-") : code ?? ""
      do throws(ParseError) {
        let code = try EnrolmentCode(text: text)
        guard case .certificate(let der, let point) = code.content,
          let key = try? P256.KeyAgreement.PublicKey(compressedRepresentation: point)
        else {
          throw ParseError(.certificateInvalid)
        }
        (known, agreementKey, stated) = (try PublicIdentity(certificate: der), key, code.class)
      } catch {
        throw Failure.usage(
          "--code: \(error.reason.name): expected the certificate form, as 'pangate identity qr FILE --class CLASS' prints it"
        )
      }
    }
    var needed = stated ?? .noConsequence
    if let classWord {
      guard let word = EnvelopeClass(name: classWord), word != .stream else {
        throw Failure.usage("--class \(classWord): expected no-consequence, auth-only or confidential")
      }
      needed = word
    } else if stated == nil, role == .node {
      throw Failure.usage("give --class: an identity file does not say what the device's traffic needs")
    }
    var admission = Admission(
      name: name, identity: known, agreementKey: agreementKey, class: needed, roles: role.roles)
    admission.statedClass = stated
    if let eui64 {
      guard eui64.utf8.count == 16, let number = UInt64(eui64, radix: 16) else {
        throw Failure.usage("--eui64 \(eui64): expected 16 hexadecimal digits")
      }
      admission.eui64 = number
    }
    admission.readers = reader
    admission.commanders = commander
    admission.gateway = gateway
    admission.traits = trait.reduce(into: Traits()) { $0.formUnion($1.traits) }
    return admission
  }
}
