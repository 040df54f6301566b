import BorderRouter
import IEEE802154
import TestSupport
import Testing
import Wire

/// A coordinator's MAC with its clock, and the radio's side of it.
final class Coordinator {
  static let pan = PANIdentifier(0xabcd)
  static let extended = ExtendedAddress(0x0270_616e_6700_0001)
  static let short = ShortAddress(0)
  static let hardware: RadioCapabilities = [.acknowledges, .retransmits, .reportsAcknowledgment, .sourceMatch]

  private(set) var engine: MACEngine
  var now = Instant(seconds: 1_000_000)
  /// Everything that was wanted, in order.
  var log: [MACAction] = []
  /// What the radio has.
  private(set) var onAir: [UInt8]?
  private var onAirSince = Instant(seconds: 0)
  private(set) var match = SourceMatch()
  /// Outcomes by the id of the caller.
  private(set) var outcomes: [UInt64: MACOutcome] = [:]
  private(set) var finishedTwice: [UInt64] = []
  /// Confirms reservations of frame counters at once.
  var reserves = true
  /// The last reservation asked for.
  private(set) var reservation: UInt32?
  private var commandNumber: UInt8 = 0

  init(
    _ capabilities: RadioCapabilities = Coordinator.hardware, security: LinkSecurity? = nil,
    keys: KeyStore = KeyStore(),
    associations: [Association] = [], frameCounter: UInt32 = 0, reserves: Bool = true, seed: UInt64 = 1,
    _ change: (inout MACConfiguration) -> Void = { _ in }
  ) {
    let radio = RadioSettings(
      channel: 15, panID: Self.pan, extendedAddress: Self.extended, shortAddress: Self.short)
    var configuration = MACConfiguration(radio: radio, capabilities: capabilities, security: security)
    change(&configuration)
    self.reserves = reserves
    engine = MACEngine(
      configuration: configuration, keys: keys, associations: associations, frameCounter: frameCounter,
      random: SeededGenerator(seed: seed))
    settle()
  }

  /// Takes note of what the engine wants.
  func settle() {
    while true {
      let actions = engine.takeActions()
      guard !actions.isEmpty else { return }
      log += actions
      for action in actions {
        switch action {
        case .transmit(let psdu):
          let isGivenUp = onAirSince.advanced(by: engine.configuration.transmitTime) <= now
          #expect(onAir == nil || isGivenUp, "two frames at the radio")
          onAir = psdu
          onAirSince = now
        case .sourceMatch(let match): self.match = match
        case .finished(let id, let outcome):
          if outcomes[id] != nil { finishedTwice.append(id) }
          outcomes[id] = outcome
        case .reserveFrameCounter(let limit):
          reservation = limit
          if reserves { engine.frameCounterReserved(upTo: limit, now: now) }
        case .associated, .disassociated, .dropped: break
        }
      }
    }
  }

  /// Runs `body` with the engine and settles.
  func act(_ body: (inout MACEngine) -> Void) {
    body(&engine)
    settle()
  }

  // MARK: The layer above

  static func header(
    to destination: MACAddress, version: FrameVersion = .v2006, acknowledgmentRequested: Bool = true
  ) -> MACHeader {
    MACHeader(
      type: .data, version: version, sequenceNumber: 0, destinationPAN: pan, destination: destination,
      source: .extended(extended), acknowledgmentRequested: acknowledgmentRequested && !destination.isBroadcast,
      panIdentifierCompressed: !(version == .v2015 && destination.mode == .extended))
  }

  func send(
    _ id: UInt64, to destination: MACAddress, _ payload: [UInt8]? = nil, priority: FramePriority = .normal,
    acknowledgmentRequested: Bool = true
  ) {
    let header = Self.header(to: destination, acknowledgmentRequested: acknowledgmentRequested)
    engine.send(
      OutgoingFrame(id: id, header: header, payload: payload ?? Self.payload(id), priority: priority), now: now)
    settle()
  }

  /// Eight octets that say the id.
  static func payload(_ id: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) } }

  // MARK: The radio

  /// Says what became of the frame on the air.
  @discardableResult
  func transmitted(_ outcome: TransmitOutcome = .acknowledged(framePending: false)) -> [UInt8]? {
    let psdu = onAir
    onAir = nil
    engine.transmitted(outcome, now: now)
    settle()
    return psdu
  }

  /// The frame on the air, after it has had this outcome.
  func sight(_ outcome: TransmitOutcome = .acknowledged(framePending: false)) throws -> Sight {
    let frame = try onAirSight()
    transmitted(outcome)
    return frame
  }

  /// The frame on the air.
  func onAirSight() throws -> Sight { try Sight(try #require(onAir)) }

  func isSleepy(_ device: MACAddress) -> Bool { engine.isSleepy(device) }

  /// The radio forgets what it had.
  func restartRadio() {
    onAir = nil
    match = SourceMatch()
    engine.radioRestarted(now: now)
    settle()
  }

  /// Lets the radio send all it gets; the PSDUs in order.
  func drain(_ outcome: TransmitOutcome = .acknowledged(framePending: false)) -> [[UInt8]] {
    var sent: [[UInt8]] = []
    while onAir != nil, let psdu = transmitted(outcome) { sent.append(psdu) }
    return sent
  }

  func advance(_ duration: Duration) {
    now = now.advanced(by: duration)
    engine.timeout(at: now)
    settle()
  }

  /// Goes to the next timeout.
  func timeout() throws {
    now = max(now, try #require(nextTimeout))
    engine.timeout(at: now)
    settle()
  }

  // MARK: Devices

  func receive(
    _ command: MACCommand, from source: MACAddress, to destination: MACAddress = .short(Coordinator.short),
    in destinationPAN: PANIdentifier = Coordinator.pan, version: FrameVersion = .v2006, isSecured: Bool = false,
    framePending: Bool? = nil
  ) {
    commandNumber &+= 1
    let isBroadcast = destination.isBroadcast
    let header = MACHeader(
      type: .command, version: version, sequenceNumber: commandNumber, destinationPAN: destinationPAN,
      destination: destination, source: source, acknowledgmentRequested: !isBroadcast,
      panIdentifierCompressed: source != .absent)
    engine.receive(
      command, header: header, isSecured: isSecured, framePendingAcknowledged: framePending, now: now)
    settle()
  }

  func poll(_ device: MACAddress, isSecured: Bool = false, framePending: Bool? = nil) {
    receive(.dataRequest, from: device, isSecured: isSecured, framePending: framePending)
  }

  /// A device asks to join and for the answer, and gets it.
  @discardableResult
  func join(
    _ device: ExtendedAddress, _ capabilities: DeviceCapabilities = [.allocateAddress], isSecured: Bool = false
  ) throws -> (short: ShortAddress, status: UInt8) {
    receive(.associationRequest(capabilities), from: .extended(device), isSecured: isSecured)
    poll(.extended(device), isSecured: isSecured)
    let frame = try sight()
    #expect(frame.header.destination == .extended(device))
    guard case .associationResponse(let short, let status) = try frame.command() else {
      Issue.record("\(frame.payload.hex)")
      return (.broadcast, 0xff)
    }
    return (short, status)
  }

  var nextTimeout: Instant? { engine.nextTimeout }
  var drops: [DropReason] {
    log.compactMap { if case .dropped(let reason) = $0 { reason } else { nil } }
  }
}

/// A frame that the radio was given.
struct Sight: Equatable {
  var header: MACHeader
  var payload: [UInt8]

  init(_ psdu: [UInt8]) throws {
    let view = try MACFrameView(psdu.rawSpan, fcsPresent: false)
    header = view.header
    payload = view.payload.array()
  }

  /// The id that ``Coordinator/payload(_:)`` wrote.
  var id: UInt64 { payload.enumerated().reduce(0) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) } }
  func command() throws -> MACCommand { try MACCommand(parsing: payload) }
}

extension [[UInt8]] {
  func ids() throws -> [UInt64] { try map { try Sight($0).id } }
}

extension MACAddress {
  /// A device by number: its EUI-64.
  static func node(_ number: UInt64) -> MACAddress { .extended(.node(number)) }
}

extension ExtendedAddress {
  static func node(_ number: UInt64) -> ExtendedAddress { ExtendedAddress(0x0212_4b00_0000_0000 | number) }
}
