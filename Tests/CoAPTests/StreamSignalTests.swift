import CoAP
import TestSupport
import Testing
import Wire

private func signal(_ hex: String, after: CoAPCapabilities = CoAPCapabilities()) throws -> CoAPSignal {
  try CoAPSignal(parsing: CoAPStreamMessage(parsing: try bytes(hex), framing: .tcp), after: after)
}

@Suite struct StreamSignalTests {
  @Test("RFC 8323 section 5: signals written by hand") func byHand() throws {
    let signals: [(String, CoAPSignal)] = [
      // CSM with Max-Message-Size 8,388,608 and Block-Wise-Transfer.
      ("50 e1 23 800000 20", .capabilities(CoAPCapabilities(maximumMessageSize: 0x80_0000, supportsBlockwise: true))),
      ("30 e1 22 0480", .capabilities(CoAPCapabilities())),
      ("10 e1 20", .capabilities(CoAPCapabilities(maximumMessageSize: 0))),
      ("00 e2", .ping(custody: false)), ("10 e2 20", .ping(custody: true)), ("00 e3", .pong(custody: false)),
      ("10 e3 20", .pong(custody: true)), ("00 e4", .release(alternatives: [], holdOff: nil)),
      ("80 e4 22 6131 02 6232 21 3c", .release(alternatives: ["a1", "b2"], holdOff: 60)),
      ("00 e5", .abort(badOption: nil, diagnostic: "")),
      ("60 e5 21 07 ff 626164", .abort(badOption: 7, diagnostic: "bad")),
    ]
    for (hex, expected) in signals {
      #expect(try signal(hex) == expected, "\(hex)")
      #expect(try expected.message().encoded(.tcp) == bytes(hex), "\(hex)")
    }
  }

  @Test("RFC 8323 section 5.3: options of CSMs are cumulative") func cumulative() throws {
    let large = CoAPCapabilities(maximumMessageSize: 5000, supportsBlockwise: true)
    #expect(try signal("00 e1") == .capabilities(CoAPCapabilities()))
    #expect(CoAPCapabilities() == CoAPCapabilities(maximumMessageSize: 1152, supportsBlockwise: false))
    #expect(try signal("00 e1", after: large) == .capabilities(large))
    #expect(try signal("10 e1 40", after: CoAPCapabilities(maximumMessageSize: 5000)) == .capabilities(large))
    let smaller = CoAPCapabilities(maximumMessageSize: 64, supportsBlockwise: true)
    #expect(try signal("20 e1 21 40", after: large) == .capabilities(smaller))
    // A second Max-Message-Size in one message does not count.
    #expect(try signal("40 e1 21 40 01 41", after: large) == .capabilities(smaller))
    #expect(large.supportsBERT && !smaller.supportsBERT && !CoAPCapabilities().supportsBERT)
    #expect(!CoAPCapabilities(maximumMessageSize: 1152, supportsBlockwise: true).supportsBERT)
    #expect(!CoAPCapabilities(maximumMessageSize: 1153).supportsBERT)
  }

  @Test("RFC 8323 section 5.2: unknown elective options are ignored, unknown critical ones refused") func unknown()
    throws
  {
    #expect(try signal("10 e1 60") == .capabilities(CoAPCapabilities()))
    for code in ["e1", "e2", "e3", "e4", "e5", "e0", "e6", "ff"] {
      #expect(reason { _ = try signal("10 \(code) 10") } == .coapOptionUnknownCritical)
      #expect(reason { _ = try signal("10 \(code) 30") } == .coapOptionUnknownCritical)
    }
    #expect(try signal("10 e2 60") == .ping(custody: false))
    #expect(try signal("20 e2 21 01") == .ping(custody: false))
    #expect(try signal("20 e4 20 20") == .release(alternatives: [], holdOff: 0))
    #expect(try signal("50 e4 44 01000000") == .release(alternatives: [], holdOff: nil))
    #expect(try signal("40 e5 23 010000") == .abort(badOption: nil, diagnostic: ""))
    for code in ["e0", "e6", "ff"] { #expect(reason { _ = try signal("00 \(code)") } == .coapSignalUnknown) }
    // Section 5.6: what is wrong with a CSM.
    #expect(reason { _ = try signal("60 e1 25 0000000001") } == .coapOptionLengthInvalid)
    #expect(reason { _ = try signal("20 e1 41 00") } == .coapOptionLengthInvalid)
    // Not UTF-8, and an authority of no bytes.
    #expect(try signal("40 e4 22 c328 00") == .release(alternatives: [], holdOff: nil))
  }

  @Test("What is written is read again; what has no form is left out") func roundTrip() throws {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<300 {
      let text = { (generator: inout SeededGenerator) in String(repeating: "ü", count: generator.below(127) + 1) }
      let signal: CoAPSignal =
        switch generator.below(5) {
        case 0:
          .capabilities(
            CoAPCapabilities(
              maximumMessageSize: UInt32.random(in: 0 ... .max, using: &generator),
              supportsBlockwise: generator.oneIn(2)))
        case 1: .ping(custody: generator.oneIn(2))
        case 2: .pong(custody: generator.oneIn(2))
        case 3:
          .release(
            alternatives: (0..<generator.below(4)).map { _ in text(&generator) },
            holdOff: generator.oneIn(2) ? nil : UInt32(generator.below(1 << 24)))
        default:
          .abort(
            badOption: generator.oneIn(2) ? nil : UInt16.random(in: 0 ... .max, using: &generator),
            diagnostic: generator.oneIn(2) ? "" : text(&generator))
        }
      let token = CoAPToken(value: generator.next(), count: generator.below(9))
      let message = signal.message(token: token)
      #expect(message.token == token && message.code == signal.code && message.code.isSignal)
      let frame = try message.encoded(.tcp)
      #expect(try CoAPSignal(parsing: CoAPStreamMessage(parsing: frame, framing: .tcp)) == signal)
    }
    let cut = CoAPSignal.release(alternatives: ["", String(repeating: "a", count: 256)], holdOff: .max)
    #expect(try CoAPSignal(parsing: cut.message()) == .release(alternatives: [], holdOff: 0xff_ffff))
  }
}
