import IEEE802154
import Wire

/// A frame that a host was asked to send.
struct SpinelTransmission: Sendable {
  var request: SpinelTransmitRequest
  var isAcknowledgmentRequested: Bool
  /// `nil` until the co-processor has it.
  var transaction: UInt8?
  /// When the result must have come; `nil` until the co-processor has the frame.
  var deadline: Instant?
}

extension SpinelHost {
  /// Octets of the largest PSDU that a co-processor takes (aMaxPhyPacketSize).
  private static let maximumPSDU = 127

  /// Sends a frame, given without its FCS. ``SpinelEvent/transmitted(_:)`` follows. A host that is mending its co-processor sends
  /// it afterwards.
  ///
  /// After ``setKeys(_:frameCounter:at:)``, a frame of key identifier mode 1 is given with its payload in the clear and without
  /// integrity code. Any other secured frame is sent as it is.
  ///
  /// `false`, and nothing follows, if the frame is empty or too long, another is on its way, or the host has failed or not started.
  public mutating func transmit(_ frame: [UInt8], at now: Instant) -> Bool {
    guard let prepared = prepare(frame), prepared.request.psdu.count <= Self.maximumPSDU, transmission == nil else {
      statistics.transmitErrors &+= 1
      return false
    }
    switch phase {
    case .idle, .failed:
      statistics.transmitErrors &+= 1
      return false
    case .resetting, .probing, .configuring, .ready: break
    }
    transmission = prepared
    sendTransmission(at: now)
    return true
  }

  private func prepare(_ frame: [UInt8]) -> SpinelTransmission? {
    guard frame.count >= 2 else { return nil }
    var psdu = frame
    var options = SpinelTransmitRequest.Options(receiveChannel: settings.channel)
    let control = FrameControl(rawValue: UInt16(frame[0]) | UInt16(frame[1]) << 8)
    if control.isSecured {
      var reader = ByteReader(frame.rawSpan)
      if security != nil, let header = try? MACHeader(parsing: &reader), let auxiliary = header.security,
        case .index = auxiliary.keyIdentifier
      {
        psdu += [UInt8](repeating: 0, count: auxiliary.level.micLength)
      } else {
        options.isHeaderUpdated = true
        options.isSecurityProcessed = true
      }
    }
    psdu += [UInt8](repeating: 0, count: FCS.length)
    return SpinelTransmission(
      request: SpinelTransmitRequest(psdu: psdu, channel: settings.channel, options: options),
      isAcknowledgmentRequested: control.isAcknowledgmentRequested)
  }

  /// Hands the frame that waits to a co-processor that is ready.
  mutating func sendTransmission(at now: Instant) {
    guard case .ready = phase, let request = transmission?.request, transmission?.transaction == nil,
      let value = try? request.encoded()
    else { return }
    let transaction = nextTransaction()
    transmission?.transaction = transaction
    transmission?.deadline = now.advanced(by: timing.transmission)
    write(SpinelFrame(.set, .streamRaw, value, transaction: transaction))
  }

  /// The result of the transmission.
  mutating func transmitted(_ value: [UInt8], at now: Instant) throws(ParseError) {
    var reader = ByteReader(value.rawSpan)
    let result: SpinelLastStatus
    do throws(ParseError) {
      result = try SpinelLastStatus(parsing: &reader)
    } catch {
      finishTransmission(.failed)
      throw error
    }
    if result.transmission?.isHeaderUpdated == true, let counter = result.transmission?.security?.frameCounter {
      security?.used(counter)
    }
    switch result.status {
    case .ok:
      let isAcknowledged = transmission?.isAcknowledgmentRequested == true
      // The metadata of the acknowledgment are not to be trusted; the bit in front of it is.
      finishTransmission(
        isAcknowledged ? .acknowledged(framePending: result.transmission?.isFramePending == true) : .sent)
    case .noAcknowledgment: finishTransmission(.noAcknowledgment)
    case .ccaFailure: finishTransmission(.channelAccessFailure)
    case .invalidState:
      // Its PHY is not enabled: it was reset, and the notification was lost.
      finishTransmission(.failed)
      configurationLost(at: now)
    default: finishTransmission(.failed)
    }
  }

  /// The transmission, if there is one, is over.
  mutating func finishTransmission(_ outcome: TransmitOutcome) {
    guard transmission != nil else { return }
    transmission = nil
    switch outcome {
    case .acknowledged, .sent: statistics.transmitted &+= 1
    case .noAcknowledgment: statistics.noAcknowledgment &+= 1
    case .channelAccessFailure: statistics.channelAccessFailures &+= 1
    case .failed: statistics.transmitErrors &+= 1
    }
    events.append(.transmitted(outcome))
  }
}
