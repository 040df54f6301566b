import IEEE802154
import Radio
import TestSupport
import Wire

/// A co-processor that answers as the recorded one did: bytes of the host in, bytes for the host out.
///
/// A request that is in the recordings gets the recorded answer, another value of a recorded property one of the same form.
/// What the recordings cannot hold (a table, a broken line) is played.
struct SpinelFakeRCP: Sendable {
  /// All requests so far.
  private(set) var requests: [SpinelFrame] = []
  /// Those whose command and property are in no recording.
  private(set) var unrecorded: [SpinelFrame] = []
  /// Frames that were to be sent.
  var transmissions: [SpinelTransmitRequest] {
    requests.filter { $0.command == .set && $0.property == .streamRaw }
      .compactMap { try? SpinelTransmitRequest(parsing: $0.value) }
  }

  /// It says nothing and hears nothing.
  var isDead = false
  /// It answers again after so many resets of any kind.
  var revivesAfter: Int?
  /// It does everything but say what became of a frame.
  var keepsResults = false
  /// Answers that are not the recorded ones.
  var answers: [SpinelProperty: [UInt8]] = [:]
  var refusals: [SpinelProperty: SpinelStatus] = [:]
  /// What it says in place of an answer.
  var noise: (@Sendable (SpinelFrame) -> [UInt8])?
  /// Entries of each source match list.
  var capacity = 128
  /// Octets of its receive buffer, FCS included.
  var buffer = 512

  private(set) var isEnabled = false
  private(set) var isStreaming = false
  private(set) var matchesSource = false
  private(set) var short: Set<ShortAddress> = []
  private(set) var extended: Set<ExtendedAddress> = []

  private var decoder = HDLCDecoder()
  private var recorded: [Key: SpinelFrame] = [:]
  private var shapes: [Key: SpinelFrame] = [:]
  private var results: [SpinelFrame] = []
  private var received: [SpinelReceivedFrame] = []

  private struct Key: Hashable, Sendable {
    var command: SpinelCommand
    var property: SpinelProperty?
    var value: [UInt8]?
  }

  /// The recordings are read once.
  private static let fresh = Result { try SpinelFakeRCP(reading: ()) }

  init() throws { self = try Self.fresh.get() }

  private init(reading: Void) throws {
    for name in ["rcp-session", "rcp-source-match"] {
      var open: [UInt8: SpinelFrame] = [:]
      for (frame, line) in try SpinelTranscript(name).frames() {
        let transaction = frame.header.transaction
        guard line.isAnswer else {
          open[transaction] = frame
          continue
        }
        if transaction == 0, frame.property == .streamRaw {
          received.append(try SpinelReceivedFrame(parsing: frame.value))
        }
        guard let request = open.removeValue(forKey: transaction) else { continue }
        let key = Key(command: request.command, property: request.property, value: request.value)
        recorded[key] = recorded[key] ?? frame
        let shape = Key(command: request.command, property: request.property)
        shapes[shape] = shapes[shape] ?? frame
        if request.property == .streamRaw { results.append(frame) }
      }
    }
  }

  /// A fresh one in the state of `other`.
  init(enabledLike other: SpinelFakeRCP) throws {
    try self.init()
    (isEnabled, isStreaming, matchesSource) = (other.isEnabled, other.isStreaming, other.matchesSource)
  }

  /// The notification of a reset.
  static let resetNotification = HDLCLite.encode([0x80, 0x06, 0x00, 0x70])

  /// Resets by itself and says so.
  mutating func crash(with status: UInt8 = 0x73) -> [UInt8] {
    reset()
    return HDLCLite.encode([0x80, 0x06, 0x00, status])
  }

  /// Resets by itself and keeps it for itself.
  mutating func reset() {
    (isEnabled, isStreaming, matchesSource) = (false, false, false)
    short = []
    extended = []
  }

  /// Takes bytes of the host.
  mutating func receive(_ bytes: [UInt8]) -> [UInt8] {
    var answer: [UInt8] = []
    var reader = ByteReader(bytes.rawSpan)
    while let content = decoder.next(&reader) {
      guard content.count + 2 <= buffer, let frame = try? SpinelFrame(parsing: content) else { continue }
      answer += handle(frame)
    }
    return answer
  }

  private mutating func handle(_ frame: SpinelFrame) -> [UInt8] {
    requests.append(frame)
    if isDead {
      guard frame.command == .reset, let left = revivesAfter else { return [] }
      revivesAfter = left - 1
      guard left <= 1 else { return [] }
      isDead = false
    }
    if let noise { return noise(frame) }
    if frame.command == .reset {
      reset()
      return Self.resetNotification
    }
    if shapes[Key(command: frame.command, property: frame.property)] == nil { unrecorded.append(frame) }
    guard let answer = answer(to: frame) else { return [] }
    return Self.wire(answer, transaction: frame.header.transaction)
  }

  private static func wire(_ frame: SpinelFrame, transaction: UInt8) -> [UInt8] {
    var frame = frame
    frame.header.transaction = transaction
    return (try? HDLCLite.encode(frame.encoded())) ?? []
  }

  private func status(_ status: SpinelStatus) -> SpinelFrame {
    let value = (try? SpinelLastStatus(status).encoded()) ?? []
    return SpinelFrame(.valueIs, .lastStatus, value, transaction: 0)
  }

  private mutating func answer(to frame: SpinelFrame) -> SpinelFrame? {
    guard let property = frame.property else { return status(.init(rawValue: 5)) }
    if let refusal = refusals[property] { return status(refusal) }
    if frame.command == .get, let value = answers[property] {
      return SpinelFrame(.valueIs, property, value, transaction: 0)
    }
    switch (frame.command, property) {
    case (.get, .macRawStreamEnabled):
      return SpinelFrame(.valueIs, property, [isStreaming ? 1 : 0], transaction: 0)
    case (.set, .streamRaw): return transmit(frame)
    case (.set, .sourceMatchShortAddresses):
      guard let list = try? SpinelShortAddresses(parsing: frame.value).addresses else { return status(.parseError) }
      // The first that fit are in.
      short = Set(list.prefix(capacity))
      return status(list.count > capacity ? .noMemory : .ok)
    case (.set, .sourceMatchExtendedAddresses):
      guard let list = try? SpinelExtendedAddresses(parsing: frame.value).addresses else { return status(.parseError) }
      extended = Set(list.prefix(capacity))
      return status(list.count > capacity ? .noMemory : .ok)
    case (.insert, .sourceMatchExtendedAddresses):
      guard let list = try? SpinelExtendedAddresses(parsing: frame.value).addresses, list.count == 1 else {
        return status(.parseError)
      }
      guard extended.count < capacity else { return status(.noMemory) }
      extended.formUnion(list)
      // (The one that the recorded table had no room for is nothing special in this one.)
      return SpinelFrame(.inserted, property, frame.value, transaction: 0)
    case (.set, .phyEnabled): isEnabled = frame.value == [1]
    case (.set, .macRawStreamEnabled): isStreaming = frame.value == [1]
    case (.set, .sourceMatchEnabled): matchesSource = frame.value == [1]
    default: break
    }
    if let answer = recorded[Key(command: frame.command, property: property, value: frame.value)] { return answer }
    guard var answer = shapes[Key(command: frame.command, property: property)] else { return status(.propertyNotFound) }
    if answer.property == property { answer.value = frame.value }
    return answer
  }

  /// The recorded result of a frame to the same kind of destination.
  private func transmit(_ frame: SpinelFrame) -> SpinelFrame? {
    guard isEnabled, isStreaming else { return status(.invalidState) }
    if keepsResults { return nil }
    if let answer = recorded[Key(command: .set, property: .streamRaw, value: frame.value)] {
      // The recording has one frame that was sent too early.
      if (try? SpinelLastStatus(parsing: answer.value))?.transmission != nil { return answer }
    }
    guard let request = try? SpinelTransmitRequest(parsing: frame.value), request.psdu.count <= 127 else {
      return status(.parseError)
    }
    var reader = ByteReader(request.psdu.rawSpan)
    guard let header = try? MACHeader(parsing: &reader) else { return status(.ok) }
    let isForNobody = header.destination == .short(ShortAddress(9))
    return results.first { answer in
      guard let result = try? SpinelLastStatus(parsing: answer.value), let transmission = result.transmission else {
        return false
      }
      if isForNobody { return result.status == .noAcknowledgment }
      let isAcknowledged = transmission.acknowledgment?.psdu.isEmpty == false
      return result.status == .ok && isAcknowledged == header.control.isAcknowledgmentRequested
        && (transmission.security != nil) == (header.security != nil)
    }
  }

  /// A frame that another radio sends: the recorded one whose text is `text`, if this radio hears it.
  func hear(_ text: String) throws -> [UInt8] {
    let psdu = Array(text.utf8)
    guard let frame = received.first(where: { $0.psdu.firstRange(of: psdu) != nil }) else {
      throw ParseError(.unsupported)
    }
    return isStreaming ? try Self.heard(frame) : []
  }

  /// The recorded Data Request from this device: frame pending in its acknowledgment or not, as the lists say.
  func poll(from source: MACAddress) throws -> [UInt8] {
    for var frame in received {
      var reader = ByteReader(frame.psdu.rawSpan)
      guard let header = try? MACHeader(parsing: &reader), header.control.type == .command, header.source == source
      else { continue }
      frame.flags = isPending(source) ? .acknowledgedWithFramePending : []
      return isStreaming ? try Self.heard(frame) : []
    }
    throw ParseError(.unsupported)
  }

  /// Whether the acknowledgment to this device says that something waits.
  func isPending(_ source: MACAddress) -> Bool {
    switch source {
    case .absent: false
    case .short(let address): !matchesSource || short.contains(address)
    case .extended(let address): !matchesSource || extended.contains(address)
    }
  }

  static func heard(_ frame: SpinelReceivedFrame) throws -> [UInt8] {
    try HDLCLite.encode(SpinelFrame(.valueIs, .streamRaw, frame.encoded(), transaction: 0).encoded())
  }
}
