import IEEE802154

/// A radio that is open, or can be opened again.
///
/// A driver is used by one task at a time. It never gives up by itself: what it cannot mend it reports as a
/// ``RadioEvent/failed(_:)``, and whoever uses it closes it and opens it again (``RadioSupervisor``).
public protocol RadioDriver: AnyObject, Sendable {
  /// What the radio is called in messages and in the configuration, for example `zep://0.0.0.0:17754`.
  var url: RadioURL { get }

  /// Opens the device, finds out what it is, and configures it. Calling it again after ``close()`` starts over.
  ///
  /// Throws a ``RadioError`` that says what to do.
  func open(_ settings: RadioSettings) async throws(RadioError) -> RadioDescription

  /// What comes from the radio since it was opened; ends with ``close()``, or after ``RadioEvent/failed(_:)``. One
  /// stream is made by each ``open(_:)``; what comes faster than it is read is dropped, oldest first, and counted.
  var events: AsyncStream<RadioEvent> { get }

  /// Sends a frame: a PSDU without FCS. One at a time: the next is sent when this has returned.
  func transmit(_ frame: [UInt8]) async -> TransmitOutcome

  /// Sets the devices for which frames wait. Does nothing on a radio without ``RadioCapabilities/sourceMatch``.
  func setSourceMatch(_ devices: SourceMatch) async throws(RadioError)

  /// Counted since the driver was made.
  var statistics: RadioStatistics { get }

  /// Lets go of the device. Harmless if it is closed.
  func close() async
}

/// What comes from a radio.
public enum RadioEvent: Sendable {
  /// A frame, with what the radio knows of it. Acknowledgments are not among them.
  case frame(CapturedFrame)
  /// The radio does not work any more.
  case failed(RadioError)
}

/// What a radio is, found out when it was opened.
public struct RadioDescription: Sendable, Hashable {
  public var capabilities: RadioCapabilities
  /// The hardware or firmware as it names itself, for example `OPENTHREAD/1.3.0; NRF52840`.
  public var name: String
  /// The EUI-64 that it was made with, if it tells.
  public var hardwareAddress: ExtendedAddress?

  public init(capabilities: RadioCapabilities, name: String, hardwareAddress: ExtendedAddress? = nil) {
    self.capabilities = capabilities
    self.name = name
    self.hardwareAddress = hardwareAddress
  }
}

/// What a radio did and what went wrong.
public struct RadioStatistics: Sendable, Hashable {
  /// Frames received and passed on.
  public var received: UInt64 = 0
  /// Frames sent, retransmissions not counted.
  public var transmitted: UInt64 = 0
  public var retransmissions: UInt64 = 0
  /// Frames given up because no acknowledgment came.
  public var noAcknowledgment: UInt64 = 0
  /// Frames given up because the channel was busy.
  public var channelAccessFailures: UInt64 = 0
  /// Frames that were not sent for another reason.
  public var transmitErrors: UInt64 = 0
  /// Input that was no frame: a bad checksum, garbage on a serial line, a datagram that is no ZEP.
  public var malformed: UInt64 = 0
  /// Frames dropped because they were not read in time.
  public var overruns: UInt64 = 0
  /// Times that the device was reset to make it work again.
  public var resets: UInt64 = 0

  public init() {}
}
