import IEEE802154
import Wire

/// Frames of a node on their way to its radio, one at a time.
///
/// The radio repeats what is not acknowledged; a frame that it gives up takes the other fragments of its datagram with it,
/// since they are of no use without it.
struct NodeMAC: Sendable {
  /// Attempts at a frame while the channel is busy or the radio fails.
  private static let attempts = 4

  private struct Frame: Sendable {
    var header: MACHeader
    var payload: [UInt8]
    /// What it is a part of.
    var datagram: UInt64
    var attempts = 0
  }

  private enum Flight: Sendable {
    case frame(Frame)
    case dataRequest
  }

  /// What a frame came to that the radio had.
  enum Conclusion: Sendable, Equatable {
    /// It is done with. `framePending`: the coordinator has something for us.
    case sent(framePending: Bool)
    /// The radio gave up; with the frame, the rest of its datagram was dropped.
    case failed
    /// It is sent again.
    case again
    /// The radio had none.
    case nothing
  }

  private var queue: [Frame] = []
  private var flight: Flight?
  private var sequenceNumber: UInt8
  private var lastDatagram: UInt64 = 0
  private let maximum: Int

  init(maximum: Int, sequenceNumber: UInt8) {
    self.maximum = maximum
    self.sequenceNumber = sequenceNumber
  }

  /// Frames that wait for the radio.
  var count: Int { queue.count }
  /// Whether the radio has a frame.
  var isBusy: Bool { flight != nil }
  /// Whether the radio has a data request.
  var isPolling: Bool {
    if case .dataRequest = flight { true } else { false }
  }

  /// Queues the frames of one datagram. False, with none queued, if there is no room for all of them.
  mutating func send(_ frames: [(header: MACHeader, payload: [UInt8])]) -> Bool {
    guard queue.count + frames.count <= maximum else { return false }
    lastDatagram &+= 1
    for frame in frames {
      queue.append(Frame(header: frame.header, payload: frame.payload, datagram: lastDatagram))
    }
    return true
  }

  /// The PSDU that the radio gets next, without FCS: `dataRequest` if there is one, else the oldest frame. `nil` if it has
  /// one already, or there is none.
  mutating func next(dataRequest: MACHeader?) -> [UInt8]? {
    guard flight == nil else { return nil }
    if let dataRequest, let payload = try? MACCommand.dataRequest.encoded() {
      guard let psdu = number(dataRequest, payload) else { return nil }
      flight = .dataRequest
      return psdu
    }
    while !queue.isEmpty {
      var frame = queue.removeFirst()
      frame.attempts += 1
      guard let psdu = number(frame.header, frame.payload) else { continue }
      flight = .frame(frame)
      return psdu
    }
    return nil
  }

  private mutating func number(_ header: MACHeader, _ payload: [UInt8]) -> [UInt8]? {
    var header = header
    header.sequenceNumber = sequenceNumber
    sequenceNumber &+= 1
    return try? MACFrame(header: header, payload: payload).encoded(withFCS: false)
  }

  /// What became of the frame that the radio had.
  mutating func concluded(_ outcome: TransmitOutcome) -> Conclusion {
    defer { flight = nil }
    switch (flight, outcome) {
    case (nil, _): return .nothing
    case (_, .acknowledged(let framePending)): return .sent(framePending: framePending)
    case (_, .sent): return .sent(framePending: false)
    case (.frame(let frame), .channelAccessFailure), (.frame(let frame), .failed):
      guard frame.attempts < Self.attempts else {
        dropDatagram(frame.datagram)
        return .failed
      }
      queue.insert(frame, at: 0)
      return .again
    case (.frame(let frame), .noAcknowledgment):
      dropDatagram(frame.datagram)
      return .failed
    case (.dataRequest, _): return .failed
    }
  }

  private mutating func dropDatagram(_ datagram: UInt64) { queue.removeAll { $0.datagram == datagram } }
}
