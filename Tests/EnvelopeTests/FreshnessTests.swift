import Envelope
import Testing
import Wire

@Suite struct FreshnessTests {
  private func header(issuedAt: UInt64?, lifetime: UInt64) -> EnvelopeHeader {
    EnvelopeHeader(
      sender: .short(Address.Short(1)), class: .authOnly, recipients: [.short(Address.Short(2))], sequence: 1,
      issuedAt: issuedAt, lifetime: lifetime)
  }

  private func refused(
    issuedAt: UInt64?, lifetime: UInt64, arrival: Int64 = 1000, now: Int64, skew: UInt64 = 10
  ) -> DropReason? {
    reason {
      try Freshness(skew: skew).check(
        header(issuedAt: issuedAt, lifetime: lifetime), arrival: Instant(seconds: arrival),
        now: Instant(seconds: now))
    }
  }

  @Test func lifetimeCountsFromTheTimeOfIssueToItsLastSecond() {
    #expect(refused(issuedAt: 1000, lifetime: 60, now: 1060) == nil)
    #expect(refused(issuedAt: 1000, lifetime: 60, now: 1061) == .envelopeExpired)
    #expect(refused(issuedAt: 1000, lifetime: 0, now: 1000) == nil)
    #expect(refused(issuedAt: 1000, lifetime: 0, now: 1001) == .envelopeExpired)
    // The arrival does not make it younger.
    #expect(refused(issuedAt: 1000, lifetime: 60, arrival: 2000, now: 2000) == .envelopeExpired)
  }

  @Test func senderAheadByMoreThanTheSkewIsFromTheFuture() {
    #expect(refused(issuedAt: 1010, lifetime: 60, now: 1000) == nil)
    #expect(refused(issuedAt: 1011, lifetime: 60, now: 1000) == .envelopeFromTheFuture)
    #expect(refused(issuedAt: .max, lifetime: 0, now: 1000) == .envelopeFromTheFuture)
    #expect(refused(issuedAt: .max, lifetime: 0, now: 1000, skew: .max) == nil)
  }

  @Test func withoutAClockLifetimeCountsFromArrival() {
    #expect(refused(issuedAt: nil, lifetime: 60, arrival: 1000, now: 1060) == nil)
    #expect(refused(issuedAt: nil, lifetime: 60, arrival: 1000, now: 1061) == .envelopeExpired)
  }

  @Test func sumsBeyond64BitsNeverExpireAndNeverTrap() {
    #expect(refused(issuedAt: 1000, lifetime: .max, now: 253_402_300_799) == nil)
    #expect(
      Freshness.lastSecond(of: header(issuedAt: 5, lifetime: .max), arrival: Instant(seconds: 0)) == .max)
    #expect(refused(issuedAt: nil, lifetime: 0, arrival: -5, now: -5) == nil)
  }
}
