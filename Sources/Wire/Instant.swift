/// A point in time that is handed in: no module below Radio and Relay reads a clock.
///
/// Microseconds since 1970-01-01T00:00:00Z. In a replay it is the capture's time stamp; in a daemon the wall
/// clock at start plus monotonic progress, so that it never goes back.
@frozen
public struct Instant: InstantProtocol, Sendable, Hashable, Codable {
  /// Microseconds since 1970, UTC, without leap seconds.
  public var microseconds: Int64

  @inlinable public init(microseconds: Int64) { self.microseconds = microseconds }
  @inlinable public init(seconds: Int64) { self.microseconds = seconds &* 1_000_000 }

  /// Whole seconds since 1970, rounded down: the `iat` of an envelope.
  @inlinable public var seconds: Int64 {
    (microseconds >= 0 ? microseconds : microseconds - 999_999) / 1_000_000
  }

  public func advanced(by duration: Swift.Duration) -> Instant {
    Instant(microseconds: microseconds &+ duration.wholeMicroseconds)
  }

  public func duration(to other: Instant) -> Swift.Duration {
    .microseconds(other.microseconds &- microseconds)
  }

  @inlinable
  public static func < (left: Instant, right: Instant) -> Bool { left.microseconds < right.microseconds }
}

extension Swift.Duration {
  /// Microseconds, fractions cut off.
  public var wholeMicroseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
  }
}
