import BorderRouter
import IEEE802154
import Wire

/// A generator with a seed.
struct Generator: RandomNumberGenerator, Sendable {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}

let pan = PANIdentifier(0xabcd)
let own = ExtendedAddress(0x0270_616e_6700_0001)

/// One of a few devices, by one of its addresses.
func device(_ byte: UInt8) -> MACAddress {
  byte & 8 == 0 ? .extended(ExtendedAddress(UInt64(byte & 7))) : .short(ShortAddress(UInt16(byte & 7)))
}

/// What may come of a frame.
func outcome(_ byte: UInt8) -> TransmitOutcome {
  switch byte % 6 {
  case 0: .acknowledged(framePending: false)
  case 1: .acknowledged(framePending: true)
  case 2: .sent
  case 3: .noAcknowledgment
  case 4: .channelAccessFailure
  default: .failed
  }
}

func configuration(_ selector: UInt8) -> MACConfiguration {
  let radio = RadioSettings(channel: 15, panID: pan, extendedAddress: own, shortAddress: ShortAddress(0))
  var security = LinkSecurity(key: .index(1))
  security.counterStep = 4
  security.isRequired = selector & 2 != 0
  var configuration = MACConfiguration(
    radio: radio, capabilities: selector & 4 == 0 ? SoftwareRadio.capabilities : [.acknowledges],
    security: selector & 1 == 0 ? nil : security)
  configuration.maximumQueuedFrames = 8
  configuration.maximumQueuedFramesPerDestination = 4
  configuration.maximumIndirectFrames = 10
  configuration.maximumIndirectFramesPerDevice = 4
  configuration.maximumLearntSleepers = 3
  configuration.maximumDevices = 3
  configuration.maximumJoining = 3
  configuration.shortAddresses = 0...7
  return configuration
}

/// A coordinator, its radio, and whatever comes over the air: nothing traps, one frame is under way at a time, every frame
/// has one end, bounds hold.
func live(_ selector: UInt8, _ input: [UInt8]) {
  var keys = KeyStore()
  if let key = LinkKey([UInt8](repeating: 1, count: 16)) { keys.add(key, for: .index(1)) }
  let configuration = configuration(selector)
  var engine = MACEngine(
    configuration: configuration, keys: keys, frameCounter: selector & 8 == 0 ? 0 : .max - 20,
    random: Generator(state: 1))
  engine.permitsJoining = true
  var radio = SoftwareRadio(settings: configuration.radio)
  var now = Instant(seconds: 1_000_000)
  var open: Set<UInt64> = []
  var nextID: UInt64 = 0
  var onAir: [UInt8]?

  /// Does what the engine wants, until it wants nothing.
  func settle() {
    var actions = engine.takeActions()
    while !actions.isEmpty {
      for action in actions {
        switch action {
        case .transmit(let psdu):
          precondition(psdu.count + FCS.length <= configuration.maximumFrameLength)
          onAir = psdu
        case .finished(let id, _): precondition(open.remove(id) != nil, "ended twice")
        case .reserveFrameCounter(let limit): engine.frameCounterReserved(upTo: limit, now: now)
        case .sourceMatch(let match): radio.sourceMatch = match
        case .associated, .disassociated, .dropped: break
        }
      }
      actions = engine.takeActions()
    }
    let statistics = engine.statistics
    precondition(statistics.queued <= 9 && statistics.indirectPending <= 10 && engine.associations.count <= 3)
  }

  func hear(_ frame: [UInt8], fcsPresent: Bool) {
    radio.receive(frame.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: fcsPresent))
    for action in radio.takeActions() {
      switch action {
      case .send(let psdu): precondition(FCS.isValid(psdu.rawSpan))
      case .deliver(let frame):
        guard let view = try? MACFrameView(frame.bytes.rawSpan, metadata: frame.metadata),
          view.header.control.type == .command, let command = try? MACCommand(parsing: view.payload)
        else { break }
        engine.receive(command, header: view.header, isSecured: view.header.security != nil, now: now)
      case .finished(let outcome):
        onAir = nil
        engine.transmitted(outcome, now: now)
      case .dropped: break
      }
      settle()
    }
  }

  settle()
  var position = 0
  while position + 1 < input.count {
    let (step, argument) = (input[position], input[position + 1])
    position += 2
    switch step & 7 {
    case 0:
      let destination: MACAddress = argument & 0x80 != 0 ? .short(.broadcast) : device(argument)
      let header = MACHeader(
        type: .data, sequenceNumber: 0, destinationPAN: pan, destination: destination, source: .extended(own),
        acknowledgmentRequested: true, panIdentifierCompressed: true)
      open.insert(nextID)
      engine.send(
        OutgoingFrame(
          id: nextID, header: header, payload: [UInt8](repeating: step, count: Int(argument)),
          priority: step & 8 == 0 ? .normal : .high, isSecured: step & 16 == 0), now: now)
      nextID += 1
    case 1:
      onAir = nil
      engine.transmitted(outcome(argument), now: now)
    case 2:
      if let psdu = onAir { _ = radio.transmit(psdu, now: now) }
      now = now.advanced(by: .milliseconds(Int(argument)))
      radio.timeout(at: now)
      hear([], fcsPresent: false)
    case 3:
      let header = MACHeader(
        type: .command, sequenceNumber: argument, destinationPAN: pan, destination: .extended(own),
        source: device(argument), acknowledgmentRequested: true, panIdentifierCompressed: true)
      let commands: [MACCommand] = [
        .dataRequest, .associationRequest(DeviceCapabilities(rawValue: argument)), .orphanNotification,
        .disassociationNotification(reason: 2),
      ]
      engine.receive(
        commands[Int(step >> 3) & 3], header: header, isSecured: step & 0x20 != 0,
        framePendingAcknowledged: step & 0x40 == 0 ? nil : step & 0x80 != 0, now: now)
    case 4:
      now = now.advanced(by: .milliseconds(Int(argument) * Int(argument)))
      engine.timeout(at: now)
    case 5:
      let sleeps: [Bool?] = [nil, true, false, true]
      engine.setSleepy(device(argument), sleeps[Int(step >> 3) & 3], now: now)
    case 6:
      if step & 8 == 0 {
        engine.remove(ExtendedAddress(UInt64(argument & 7)), now: now)
      } else {
        onAir = nil
        engine.radioRestarted(now: now)
      }
    default:
      let frame = Array(input[position...].prefix(Int(argument)))
      position += frame.count
      hear(frame, fcsPresent: step & 8 != 0)
    }
    settle()
  }
  // In the end all is over and nothing is left.
  var steps = 0
  while let next = engine.nextTimeout {
    now = max(now, next)
    engine.timeout(at: now)
    settle()
    steps += 1
    precondition(steps < 10_000, "time does not go on")
  }
  precondition(open.isEmpty && engine.statistics.queued == 0 && engine.statistics.indirectPending == 0)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  live(data.pointee, [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1)))
  return 0
}
