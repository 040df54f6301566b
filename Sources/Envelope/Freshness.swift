import Wire

/// Whether an envelope is still, and already, to be obeyed: its time of issue and lifetime against the clock.
@frozen
public struct Freshness: Hashable, Sendable {
  /// How far, in seconds, a sender's clock may be ahead of ours.
  public var skew: UInt64

  @inlinable public init(skew: UInt64 = 120) { self.skew = skew }

  /// Throws ``DropReason/envelopeExpired`` after the last second of the lifetime, and
  /// ``DropReason/envelopeFromTheFuture`` if it was issued later than `now` and the skew.
  ///
  /// A sender without a clock states no time of issue: its lifetime counts from `arrival`, which is when the first hop
  /// that has a clock took it. Such an envelope may be an old one held back on the way, so an actuator asks for an
  /// echo before it acts (RFC 9175).
  public func check(_ header: EnvelopeHeader, arrival: Instant, now: Instant) throws(ParseError) {
    if let issuedAt = header.issuedAt, issuedAt > Freshness.clock(now).saturating(adding: skew) {
      throw ParseError(.envelopeFromTheFuture)
    }
    guard Freshness.clock(now) <= Freshness.lastSecond(of: header, arrival: arrival) else {
      throw ParseError(.envelopeExpired)
    }
  }

  /// The last second, since 1970, in which the envelope is to be obeyed: time of issue (or of arrival) and lifetime.
  /// `UInt64.max` if their sum is beyond.
  public static func lastSecond(of header: EnvelopeHeader, arrival: Instant) -> UInt64 {
    (header.issuedAt ?? clock(arrival)).saturating(adding: header.lifetime)
  }

  /// Whole seconds since 1970; 0 before.
  private static func clock(_ instant: Instant) -> UInt64 { UInt64(max(0, instant.seconds)) }
}

extension UInt64 {
  fileprivate func saturating(adding other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
