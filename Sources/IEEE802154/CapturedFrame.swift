import Wire

/// What is known of a frame beside its bytes: the capture model that radios, capture files and the decoder share.
@frozen
public struct FrameMetadata: Sendable, Hashable {
  /// When it was received.
  public var timestamp: Instant
  /// The last two bytes are the FCS as received.
  public var fcsPresent: Bool
  /// Whoever delivered the frame has checked and decrypted it. The header still says secured and has its auxiliary
  /// security header; the payload is in the clear, at every level, and its message integrity code is gone.
  ///
  /// That is how Linux's `wpanN` interfaces deliver secured frames: mac802154 decrypts in place and trims the code. A capture
  /// that was rewritten as unsecured (security bit and auxiliary header taken out too) needs no flag. Nothing of a frame
  /// with this flag can be checked again: whoever sets it answers for its authenticity.
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
