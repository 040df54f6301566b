import IEEE802154

/// Where frames come from: a capture file or a radio.
public protocol FrameSource: ~Copyable {
  /// Why a source fails for good. What a source can mend by itself it does not throw.
  associatedtype Failure: Error

  /// The next frame, or `nil` after the last. Waits if none is there yet.
  mutating func nextFrame() throws(Failure) -> CapturedFrame?
}
