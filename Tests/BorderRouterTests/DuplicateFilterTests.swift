import BorderRouter
import IEEE802154
import Testing
import Wire

@Suite struct DuplicateFilterTests {
  let start = Instant(seconds: 1_000)

  func header(_ sequenceNumber: UInt8?, _ source: MACAddress = .short(ShortAddress(5))) -> MACHeader {
    MACHeader(
      type: .data, version: .v2015, sequenceNumber: sequenceNumber, destinationPAN: PANIdentifier(1),
      destination: .short(ShortAddress(1)), source: source, panIdentifierCompressed: true)
  }

  @Test("Same source, number and payload within the window are a copy; a frame after the window is none")
  func window() {
    var filter = DuplicateFilter(window: .seconds(1))
    let payload: [UInt8] = [1, 2, 3]
    var outcomes: [Bool] = []
    for microseconds in [0, 1, 1_000_000, 1_000_001, 2_000_001, 2_000_002] as [Int64] {
      let now = start.advanced(by: .microseconds(microseconds))
      outcomes.append(filter.isDuplicate(header(1), payload: payload.rawSpan, now: now))
    }
    // A copy does not prolong the window.
    #expect(outcomes == [false, true, true, false, true, false])
  }

  @Test("Another number, source, kind of address, PAN or payload makes another frame")
  func differences() {
    var filter = DuplicateFilter()
    let payload: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    var otherPAN = header(1)
    otherPAN.destinationPAN = PANIdentifier(2)
    for (header, payload) in [
      (header(1), payload), (header(2), payload), (header(1, .short(ShortAddress(6))), payload),
      (header(1, .extended(ExtendedAddress(5))), payload), (otherPAN, payload),
      (header(1), Array(payload.dropLast())), (header(1), [9] + payload.dropFirst()),
      (header(1), payload.dropLast() + [0]), (header(1), payload + [0]), (header(1), []),
    ] as [(MACHeader, [UInt8])] {
      let first = filter.isDuplicate(header, payload: payload.rawSpan, now: start)
      let second = filter.isDuplicate(header, payload: payload.rawSpan, now: start)
      #expect(!first && second)
    }
  }

  @Test("Without a source or a sequence number nothing is a copy")
  func nothingToCompare() {
    var filter = DuplicateFilter()
    let payload: [UInt8] = [1]
    for header in [header(nil), header(1, .absent)] {
      for _ in 0..<3 {
        let isDuplicate = filter.isDuplicate(header, payload: payload.rawSpan, now: start)
        #expect(!isDuplicate)
      }
    }
  }

  @Test("A flood makes the filter forget the oldest, never take a new frame for a copy")
  func flood() {
    var filter = DuplicateFilter(capacity: 64)
    var copies = 0
    for number in 0..<10_000 {
      let payload = [UInt8(number >> 8), UInt8(number & 0xff)]
      let now = start.advanced(by: .microseconds(number))
      if filter.isDuplicate(header(1), payload: payload.rawSpan, now: now) { copies += 1 }
    }
    #expect(copies == 0)
    let last: [UInt8] = [UInt8(9_999 >> 8), UInt8(9_999 & 0xff)]
    let isDuplicate = filter.isDuplicate(
      header(1), payload: last.rawSpan, now: start.advanced(by: .microseconds(9_999)))
    #expect(isDuplicate)
  }
}
