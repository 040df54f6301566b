import CoAP
import TestSupport
import Testing
import Wire

typealias Stream = CoAPStreamConnection

/// A connection, with a seed.
func connection(
  _ seed: UInt64 = 1, framing: CoAPStreamFraming = .tcp, _ change: (inout CoAPStreamConfiguration) -> Void = { _ in }
) -> Stream {
  var configuration = CoAPStreamConfiguration(framing: framing)
  change(&configuration)
  return Stream(configuration: configuration, random: SeededGenerator(seed: seed))
}

/// A body that is different everywhere.
func streamBody(_ count: Int, _ first: Int = 0) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: ($0 &+ first) &* 31 ^ $0 >> 8) }
}

extension CoAPStreamConnection.Output {
  var frame: [UInt8]? {
    guard case .transmit(let frame) = self else { return nil }
    return frame
  }
  var dropReason: DropReason? {
    guard case .dropped(let reason) = self else { return nil }
    return reason
  }
  var exchange: (id: Stream.ExchangeID, request: CoAPRequest)? {
    guard case .request(let id, let request) = self else { return nil }
    return (id, request)
  }
  var response: (id: Stream.RequestID, response: CoAPResponse)? {
    guard case .response(let id, let response) = self else { return nil }
    return (id, response)
  }
  var failure: (id: Stream.RequestID, failure: RequestFailure)? {
    guard case .failed(let id, let failure) = self else { return nil }
    return (id, failure)
  }
  /// The reason of a close; `.some(nil)` for one without.
  var closed: DropReason?? {
    guard case .close(let reason) = self else { return nil }
    return .some(reason)
  }
  /// What it is, in a word.
  var kind: String {
    switch self {
    case .transmit: "transmit"
    case .ready: "ready"
    case .request: "request"
    case .response: "response"
    case .failed(_, let failure): "failed \(failure)"
    case .released: "released"
    case .dropped(let reason): "dropped \(reason)"
    case .close(let reason): reason.map { "close \($0)" } ?? "close"
    }
  }
}

extension CoAPStreamConnection {
  /// Takes a message written by the test and returns what comes of it.
  mutating func take(_ message: CoAPStreamMessage, at now: Instant = .start) throws -> [Output] {
    let frame = try message.encoded(configuration.framing)
    receive(frame.rawSpan, at: now)
    return takeOutputs()
  }

  /// The same for a signal.
  mutating func take(
    _ signal: CoAPSignal, token: CoAPToken = CoAPToken(), at now: Instant = .start
  ) throws -> [Output] {
    try take(signal.message(token: token), at: now)
  }

  /// Begins with a peer of these capabilities.
  mutating func open(_ capabilities: CoAPCapabilities = CoAPCapabilities(), at now: Instant = .start) throws {
    start(at: now)
    _ = try take(.capabilities(capabilities), at: now)
    try #require(isReady && self.capabilities == capabilities)
  }

  /// What was sent since the last call; anything else is an error.
  mutating func sent(sourceLocation: SourceLocation = #_sourceLocation) throws -> [CoAPStreamMessage] {
    try takeOutputs().map { output in
      let frame = try #require(output.frame, "\(output)", sourceLocation: sourceLocation)
      return try CoAPStreamMessage(parsing: frame, framing: configuration.framing)
    }
  }

  func messages(_ outputs: [Output]) throws -> [CoAPStreamMessage] {
    try outputs.compactMap(\.frame).map { try CoAPStreamMessage(parsing: $0, framing: configuration.framing) }
  }
}

/// Two connections with a perfect transport between them; both answer what `answer` says.
struct StreamPair {
  var ends: [Stream]
  var now = Instant.start
  /// What crossed from either end, in order.
  var crossed: [[CoAPStreamMessage]] = [[], []]
  var delivered: [[CoAPRequest]] = [[], []]
  /// Everything else that came out.
  var events: [[Stream.Output]] = [[], []]

  init(
    framing: CoAPStreamFraming = .tcp, _ change: (inout CoAPStreamConfiguration) -> Void = { _ in },
    other: ((inout CoAPStreamConfiguration) -> Void)? = nil
  ) throws {
    ends = [connection(1, framing: framing, change)]
    if let other {
      ends.append(connection(2, framing: framing, other))
    } else {
      ends.append(connection(2, framing: framing, change))
    }
    ends[0].start(at: now)
    try run()
    try #require(ends[0].isReady && ends[1].isReady)
    crossed = [[], []]
    events = [[], []]
  }

  /// Until nothing more happens.
  mutating func run(_ answer: (Int, CoAPRequest) -> CoAPResponse? = { _, _ in nil }) throws {
    while true {
      let batches = [ends[0].takeOutputs(), ends[1].takeOutputs()]
      if batches.allSatisfy(\.isEmpty) { return }
      for (end, batch) in batches.enumerated() {
        for output in batch {
          if let frame = output.frame {
            crossed[end].append(try CoAPStreamMessage(parsing: frame, framing: ends[end].configuration.framing))
            ends[1 - end].receive(frame.rawSpan, at: now)
          } else if let (id, request) = output.exchange {
            delivered[end].append(request)
            if let response = answer(end, request) { ends[end].respond(to: id, with: response, at: now) }
          } else {
            events[end].append(output)
          }
        }
      }
    }
  }

  /// Responses that came to an end, in order.
  func responses(_ end: Int) -> [CoAPResponse] { events[end].compactMap { $0.response?.response } }
  /// Everything but responses, in words.
  func others(_ end: Int) -> [String] { events[end].filter { $0.response == nil }.map(\.kind) }
}
