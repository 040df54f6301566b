import COSE
import CoAP
import Envelope
import OSCORE
import Wire

// A request that is kept while it waits: for message_2, for its response, or for its turn. What is kept is as secret as the
// keys in it.

extension ProtectedRequest {
  /// Everything but the peer, as CBOR: `[request, method, challenges, stage]`.
  ///
  /// A stage is `[0]`, `[1, handshake]`, `[2, context, Partial IV]` or `[3, Partial IV]`. Throws
  /// ``EmitError/notRepresentable``.
  public func kept() throws(EmitError) -> [UInt8] {
    var writer = CBORWriter()
    writer.array(4)
    writer.bytes(try EncapsulatedMessage(request).cbor())
    writer.integer(method.rawValue)
    writer.unsigned(UInt64(challenges))
    switch stage {
    case .waiting:
      writer.array(1)
      writer.unsigned(0)
    case .handshake(let handshake):
      writer.array(2)
      writer.unsigned(1)
      try handshake.write(to: &writer)
    case .first(let context, let exchange):
      writer.array(3)
      writer.unsigned(2)
      writer.bytes(try context.durableState.encoded())
      writer.unsigned(exchange.requestPartialIV)
    case .sent(let exchange):
      writer.array(2)
      writer.unsigned(3)
      writer.unsigned(exchange.requestPartialIV)
    }
    return writer.bytes
  }

  /// Goes on with what ``kept()`` has written. A request whose context with `peer` was replaced since waits to be started
  /// again; only its Partial IV could tell otherwise, so whoever replaces a context starts those again that it leaves.
  ///
  /// Throws ``DropReason/reservedValue`` for a stage that there is not, and the reasons of the parts.
  public init(restoring bytes: [UInt8], to peer: Member, _ contexts: inout MemberContexts) throws(ParseError) {
    var reader = CBORReader(bytes.rawSpan)
    try reader.array(count: 4)
    let request = try EncapsulatedMessage(parsing: try reader.bytes().array()).request()
    self.init(request, to: peer, method: EDHOCMethod(rawValue: try reader.integer()))
    challenges = Int(try reader.unsigned(upTo: 16))
    let count = try reader.array()
    switch (try reader.unsigned(), count) {
    case (0, 1): break
    case (1, 2): stage = .handshake(try MemberHandshake(reading: &reader))
    case (2, 3):
      let context = OSCORESecurityContext(
        restoring: try OSCOREDurableState(parsing: try reader.bytes().array()), challenge: contexts.random.next(),
        configuration: contexts.limits.context)
      stage = .first(context, context.exchange(ofRequest: try reader.unsigned()))
    case (3, 2):
      let number = try reader.unsigned()
      if let context = contexts[peer.address] { stage = .sent(context.exchange(ofRequest: number)) }
    default: throw reader.error(.reservedValue)
    }
  }
}
