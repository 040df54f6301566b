import CoAP
import TestSupport
import Testing
import Wire

func reason(_ body: () throws -> Void) -> DropReason? {
  do {
    try body()
    return nil
  } catch { return (error as? ParseError)?.reason }
}

func bytes(_ hex: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> [UInt8] {
  try #require([UInt8](hex: hex), sourceLocation: sourceLocation)
}

func text(_ string: String) -> [UInt8] { Array(string.utf8) }

extension Instant {
  static let start = Instant(seconds: 1_700_000_000)
  static func after(_ seconds: Double) -> Instant {
    start.advanced(by: .microseconds(Int64(seconds * 1_000_000)))
  }
  /// Since ``start``.
  var elapsed: Double { Double(microseconds - Instant.start.microseconds) / 1_000_000 }
}

extension SeededGenerator {
  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

  mutating func option() -> CoAPOption {
    switch below(4) {
    case 0:
      CoAPOption(CoAPOptionNumber(rawValue: UInt16.random(in: 0 ... .max, using: &self)), bytes(in: 0...20))
    case 1: CoAPOption(CoAPOptionNumber(rawValue: UInt16(below(300))), bytes(in: 0...300))
    default: CoAPOption(CoAPOptionNumber.known[below(CoAPOptionNumber.known.count)], bytes(in: 0...13))
    }
  }

  mutating func message() -> CoAPMessage {
    let type = CoAPMessageType.allCases[below(4)]
    let id = UInt16.random(in: 0 ... .max, using: &self)
    if oneIn(10) { return .empty(type, messageID: id) }
    let code = CoAPCode(class: [0, 2, 3, 4, 5][below(5)], detail: UInt8(below(31) + 1))
    return CoAPMessage(
      type: type, code: code, messageID: id, token: CoAPToken(value: next(), count: below(9)),
      options: CoAPOptions((0..<below(8)).map { _ in option() }), payload: oneIn(3) ? [] : bytes(in: 1...100))
  }
}

extension ExchangeOutput {
  var transmitted: CoAPMessage? {
    guard case .transmit(let datagram, _) = self else { return nil }
    return try? CoAPMessage(parsing: datagram)
  }
  var dropReason: DropReason? {
    guard case .dropped(let reason, _) = self else { return nil }
    return reason
  }
  var exchange: (id: ExchangeID<Peer>, request: CoAPRequest)? {
    guard case .request(let id, let request) = self else { return nil }
    return (id, request)
  }
  var response: CoAPResponse? {
    guard case .response(_, let response) = self else { return nil }
    return response
  }
  var failure: RequestFailure? {
    guard case .failed(_, let failure) = self else { return nil }
    return failure
  }
}

typealias Layer = ExchangeLayer<String>
typealias Endpoint = CoAPEndpoint<String>

func layer(_ seed: UInt64 = 1, _ change: (inout ExchangeConfiguration) -> Void = { _ in }) -> Layer {
  var configuration = ExchangeConfiguration()
  change(&configuration)
  return Layer(configuration: configuration, random: SeededGenerator(seed: seed))
}

extension ExchangeLayer {
  /// Takes a message and returns what comes of it.
  mutating func take(_ message: CoAPMessage, from peer: Peer, at now: Instant) throws -> [ExchangeOutput<
    Peer
  >] {
    let datagram = try message.encoded()
    receive(datagram.rawSpan, from: peer, at: now)
    return takeOutputs()
  }
}

extension CoAPEndpoint {
  mutating func take(_ message: CoAPMessage, from peer: Peer, at now: Instant) throws -> [ExchangeOutput<
    Peer
  >] {
    let datagram = try message.encoded()
    receive(datagram.rawSpan, from: peer, at: now)
    return takeOutputs()
  }
}
