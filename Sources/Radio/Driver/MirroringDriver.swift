import IEEE802154
import Synchronization
import Wire

/// A driver that writes what another one receives and sends into a ``CaptureRing``.
///
/// Frames are written when they are read from ``events``, and when they have been sent. What did not get on the air is not
/// written.
public final class MirroringDriver: RadioDriver {
  private struct State {
    /// What the radio is set to; `nil` for a recording, whose frames were heard somewhere else.
    var channel: TAPHeader.Channel?
    var events = AsyncStream<RadioEvent> { $0.finish() }
  }

  private let base: any RadioDriver
  private let ring: CaptureRing
  private let now: @Sendable () -> Instant
  private let state = Mutex(State())

  /// `now` tells the time stamps of what is sent.
  public init(
    _ base: any RadioDriver, to ring: CaptureRing,
    now: @escaping @Sendable () -> Instant = { .now }
  ) {
    self.base = base
    self.ring = ring
    self.now = now
  }

  public var url: RadioURL { base.url }

  public func open(_ settings: RadioSettings) async throws(RadioError) -> RadioDescription {
    let description = try await base.open(settings)
    let inner = base.events
    let ring = ring
    let channel = TAPHeader.Channel(settings, on: url)
    state.withLock { state in
      state.channel = channel
      // Pulled one by one, so that there is no second place where frames could queue.
      state.events = AsyncStream {
        let event = await inner.first { _ in true }
        if case .frame(let frame) = event { ring.write(frame, .inbound, channel: channel) }
        return event
      }
    }
    return description
  }

  public var events: AsyncStream<RadioEvent> { state.withLock { $0.events } }

  public func transmit(_ frame: [UInt8]) async -> TransmitOutcome {
    let sent = CapturedFrame(bytes: frame, metadata: FrameMetadata(timestamp: now(), fcsPresent: false))
    let outcome = await base.transmit(frame)
    switch outcome {
    case .acknowledged, .sent, .noAcknowledgment:
      ring.write(sent, .outbound, channel: state.withLock { $0.channel })
    case .channelAccessFailure, .failed: break
    }
    return outcome
  }

  public func setSourceMatch(_ devices: SourceMatch) async throws(RadioError) { try await base.setSourceMatch(devices) }

  public var statistics: RadioStatistics { base.statistics }

  public func close() async { await base.close() }
}

extension TAPHeader.Channel {
  /// The channel that a radio is set to; `nil` for a recording, whose frames were heard somewhere else.
  public init?(_ settings: RadioSettings, on url: RadioURL) {
    if case .pcap = url.target { return nil }
    self.init(number: UInt16(settings.channel), page: settings.page)
  }
}
