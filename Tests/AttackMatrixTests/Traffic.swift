import AttackMatrix
import CoAP
import Envelope
import Wire

/// What goes over one channel as envelopes: from whom, to whom, and what of it an attacker makes.
struct Traffic {
  let group: MatrixGroup
  var sender: String
  var recipient: String
  var `class`: EnvelopeClass
  /// The node that the sender vouches for.
  var onBehalfOf: String?
  /// Two different contents.
  var contents: [SignedEnvelope.Content]

  /// What a node reports, signed by itself.
  static func report(_ group: MatrixGroup, of node: String) throws -> Traffic {
    let contents = ["21.5", "22.5"].map { SignedEnvelope.Content(format: 0, bytes: Array($0.utf8)) }
    return Traffic(
      group: group, sender: node, recipient: "owner", class: try group.member(node).class, contents: contents)
  }

  /// What a gateway makes of a plain reading.
  static func vouched(_ group: MatrixGroup, for node: String) throws -> Traffic {
    var traffic = try report(group, of: node)
    traffic.sender = "gateway"
    traffic.onBehalfOf = node
    return traffic
  }

  /// What a node is commanded.
  static func command(_ group: MatrixGroup, to node: String, from sender: String = "owner") throws -> Traffic {
    let contents = try ["open", "shut"].map { text in
      let message = EncapsulatedMessage(
        code: CoAPCode.put.rawValue, options: [.init(CoAPOptionNumber.uriPath.rawValue, [0x76])],
        payload: Array(text.utf8))
      return SignedEnvelope.Content(format: ContentFormats.coapMessage, bytes: try message.cbor())
    }
    return Traffic(
      group: group, sender: sender, recipient: node, class: max(.authOnly, try group.member(node).class),
      contents: contents)
  }

  func genuine(
    _ sequence: UInt64 = 1, content: Int = 0, at issued: Instant = MatrixGroup.now,
    form: EnvelopeDraft.AddressForm = .full
  ) throws -> SignedEnvelope {
    let extensions = EnvelopeExtensions(onBehalfOf: try onBehalfOf.map { .full(try group.address($0)) })
    return try group.envelope(
      sender, to: recipient, sequence, class: `class`, contents[content], at: issued, form: form, extensions: extensions
    )
  }

  /// The genuine one with another's signature.
  func signed(by signer: String, form: EnvelopeDraft.AddressForm = .full) throws -> Message {
    let envelope = try genuine(form: form)
    return .envelope(try group.sign(envelope.header, Array(envelope.payload), by: signer))
  }

  /// The messages of an attack that are made of the genuine ones; the last is what is judged. `nil` for attacks that need
  /// other traffic.
  func messages(_ attack: AttackMatrix.Attack) throws -> [Message]? {
    func envelope(_ envelope: SignedEnvelope) -> Message { .envelope(envelope.bytes) }
    switch attack {
    case .none, .revokedGateway, .revokedSender: return [envelope(try genuine())]
    case .forge: return [try signed(by: "guest")]
    case .shortAddressCollision: return [try signed(by: "stranger", form: .short)]
    case .relayCompromised: return [try signed(by: "relay")]
    case .replay:
      let first = try genuine()
      return [envelope(first), envelope(first)]
    case .reorder: return [envelope(try genuine(2, content: 1)), envelope(try genuine(1))]
    case .stripEncryption:
      return [.envelope(try group.sign(try genuine().header, contents[0].bytes, by: sender))]
    case .downgradeClass:
      var weak = self
      weak.class = `class` == .confidential ? .authOnly : .noConsequence
      return [envelope(try weak.genuine())]
    case .expired: return [envelope(try genuine(at: MatrixGroup.now.advanced(by: .seconds(-100))))]
    case .malleatedSignature:
      let first = try genuine()
      return [envelope(first), .envelope(malleated(first.bytes))]
    case .nonceReuse: return [envelope(try genuine(content: 0)), .restart, envelope(try genuine(content: 1))]
    case .resignCiphertext, .wrongRecipient, .staleEpoch, .gatewayCompromised: return nil
    }
  }

  /// The genuine ciphertext, as another's own.
  func resigned(by other: String) throws -> Message {
    let envelope = try genuine()
    var header = envelope.header
    header.sender = .full(try group.address(other))
    return .envelope(try group.sign(header, Array(envelope.payload), by: other))
  }
}
