import Wire

/// What is known of a frame beside its bytes: the capture model that radios, capture files and the decoder share.
@frozen
public struct FrameMetadata: Sendable, Hashable {
  /// When it was received.
  public var timestamp: Instant
  /// The last two bytes are the FCS as received.
  public var fcsPresent: Bool
  /// The MAC payload was decrypted by whoever delivered it, although the header says secured.
  public var alreadyDecrypted: Bool
  /// Received signal strength, dBm.
  public var rssi: Int8?
  /// Link quality indication, 0 to 255.
  public var lqi: UInt8?
  /// Channel number, page 0 unless known otherwise.
  public var channel: UInt8?

  public init(
    timestamp: Instant, fcsPresent: Bool, alreadyDecrypted: Bool = false, rssi: Int8? = nil,
    lqi: UInt8? = nil,
    channel: UInt8? = nil
  ) {
    self.timestamp = timestamp
    self.fcsPresent = fcsPresent
    self.alreadyDecrypted = alreadyDecrypted
    self.rssi = rssi
    self.lqi = lqi
    self.channel = channel
  }
}

/// A frame with its metadata, owning its bytes.
public struct CapturedFrame: Sendable, Hashable {
  /// The PSDU, with the FCS if the metadata says so.
  public var bytes: [UInt8]
  public var metadata: FrameMetadata

  public init(bytes: [UInt8], metadata: FrameMetadata) {
    self.bytes = bytes
    self.metadata = metadata
  }
}
