import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

/// What a node sends, what was sent before it, and what must become of it.
struct UplinkCase: Sendable, CustomTestStringConvertible {
  var name: String
  /// `nil`: custody is taken.
  var reason: DropReason?
  var code: CoAPCode
  /// The last request is judged; those before it must be accepted.
  var requests: @Sendable (Home) throws -> [NodeRequest]

  init(
    _ name: String, _ reason: DropReason?, _ code: CoAPCode,
    _ requests: @escaping @Sendable (Home) throws -> [NodeRequest]
  ) {
    self.name = name
    self.reason = reason
    self.code = code
    self.requests = requests
  }

  var testDescription: String { name }

  static let all: [UplinkCase] = accepted + classes + forgeries + replays + times + parties + plain

  static let accepted = [
    UplinkCase("no-consequence, plain", nil, .changed) { [try $0.post(plain: "21.5", from: "rain")] },
    UplinkCase("no-consequence, signed", nil, .changed) {
      [$0.post(try $0.envelope("rain", to: ["owner"], 1, class: .noConsequence).bytes)]
    },
    UplinkCase("no-consequence, signed as auth-only", nil, .changed) {
      [$0.post(try $0.envelope("rain", to: ["owner"], 1).bytes)]
    },
    UplinkCase("auth-only, signed", nil, .changed) {
      [$0.post(try $0.envelope("lock", to: ["owner", "phone2"], 1, form: .short).bytes)]
    },
    UplinkCase("auth-only, sealed", nil, .changed) {
      [$0.post(try $0.envelope("lock", to: ["owner"], 1, class: .confidential).bytes)]
    },
    UplinkCase("confidential, sealed for two", nil, .changed) {
      [$0.post(try $0.envelope("occupancy", to: ["owner", "phone2"], 1, class: .confidential).bytes)]
    },
    UplinkCase("without a clock", nil, .changed) {
      [$0.post(try $0.envelope("lock", to: ["owner"], 1, at: nil).bytes)]
    },
  ]

  static let classes = [
    UplinkCase("auth-only, signed as no-consequence", .envelopeClassTooWeak, .forbidden) {
      [$0.post(try $0.envelope("lock", to: ["owner"], 1, class: .noConsequence).bytes)]
    },
    UplinkCase("confidential, signed as auth-only", .envelopeClassTooWeak, .forbidden) {
      [$0.post(try $0.envelope("occupancy", to: ["owner"], 1).bytes)]
    },
    UplinkCase("confidential by its header, but readable", .envelopeNotConfidential, .forbidden) {
      var header = try $0.envelope("occupancy", to: ["owner"], 1).header
      header.class = .confidential
      header.contentFormat = nil
      return [$0.post(try $0.sign(header, Array("someone is home".utf8), with: try $0["occupancy"]))]
    },
  ]

  static let forgeries = [
    UplinkCase("signature of another member", .coseSignatureInvalid, .forbidden) {
      let header = try $0.envelope("lock", to: ["owner"], 1).header
      return [$0.post(try $0.sign(header, [1], with: try $0["thermostat"]))]
    },
    UplinkCase("one bit of the content changed", .coseSignatureInvalid, .forbidden) {
      var bytes = try $0.envelope("lock", to: ["owner"], 1).bytes
      bytes[bytes.count - 67] ^= 1
      return [$0.post(bytes)]
    },
    UplinkCase("sender unknown", .envelopeSenderUnknown, .forbidden) {
      [$0.post(try $0.envelope("stranger", to: ["owner"], 1).bytes)]
    },
    UplinkCase("a node that vouches for another", .envelopeOnBehalfOfRefused, .forbidden) {
      let extensions = EnvelopeExtensions(onBehalfOf: .full(try $0.address("rain")))
      return [$0.post(try $0.envelope("lock", to: ["owner"], 1, extensions: extensions).bytes)]
    },
  ]

  static let replays = [
    UplinkCase("the same bytes again", .envelopeReplay, .changed) {
      let request = $0.post(try $0.envelope("lock", to: ["owner"], 1).bytes)
      return [request, request]
    },
    UplinkCase("the same with the signature (r, n - s)", .envelopeReplay, .changed) {
      let envelope = try $0.envelope("lock", to: ["owner"], 1)
      let other = try malleated(envelope.bytes)
      #expect(other != envelope.bytes)
      return [$0.post(envelope.bytes), $0.post(other)]
    },
    UplinkCase("the same sequence number, other content", .envelopeReplayOtherBytes, .conflict) {
      let other = SignedEnvelope.Content(format: 0, bytes: [7])
      return [
        $0.post(try $0.envelope("lock", to: ["owner"], 1).bytes),
        $0.post(try $0.envelope("lock", to: ["owner"], 1, content: other).bytes),
      ]
    },
    UplinkCase("a plain request again", .coapDuplicate, .changed) {
      [try $0.post(plain: "21.5", from: "rain", 1), try $0.post(plain: "21.5", from: "rain", 1)]
    },
    UplinkCase("a new plain request with the same reading", nil, .changed) {
      [try $0.post(plain: "21.5", from: "rain", 1), try $0.post(plain: "21.5", from: "rain", 2)]
    },
  ]

  static let times = [
    UplinkCase("in its last second", nil, .changed) {
      [$0.post(try $0.envelope("lock", to: ["owner"], 1, at: Home.later(-60)).bytes)]
    },
    UplinkCase("a second after that", .envelopeExpired, .forbidden) {
      [$0.post(try $0.envelope("lock", to: ["owner"], 1, at: Home.later(-61)).bytes)]
    },
    UplinkCase("a clock 120 s ahead", nil, .changed) {
      [$0.post(try $0.envelope("lock", to: ["owner"], 1, at: Home.later(120)).bytes)]
    },
    UplinkCase("from the future", .envelopeFromTheFuture, .forbidden) {
      [$0.post(try $0.envelope("lock", to: ["owner"], 1, at: Home.later(121)).bytes)]
    },
  ]

  static let parties = [
    UplinkCase("a recipient who is no reader", .envelopeNotAllowed, .forbidden) {
      [$0.post(try $0.envelope("lock", to: ["owner", "thermostat"], 1).bytes)]
    },
    UplinkCase("a recipient who is no member", .envelopeRecipientUnknown, .forbidden) {
      [$0.post(try $0.envelope("lock", to: ["stranger"], 1).bytes)]
    },
    UplinkCase("a sender who is no node", .envelopeNotAllowed, .forbidden) {
      [$0.post(try $0.envelope("owner", to: ["lock"], 1).bytes)]
    },
    UplinkCase("too large", .envelopeTooLarge, .requestEntityTooLarge) {
      [$0.post([UInt8](repeating: 0, count: SignedEnvelope.defaultMaximumSize + 1))]
    },
  ]

  static let plain = [
    UplinkCase("plain from an unknown radio", .nodeUnknown, .forbidden) {
      var request = try $0.post(plain: "21.5", from: "rain")
      request.eui64 = 0x0270_616e_67ff_ffff
      return [request]
    },
    UplinkCase("plain from a radio that nobody knows the address of", .nodeUnknown, .forbidden) {
      var request = try $0.post(plain: "21.5", from: "rain")
      request.eui64 = nil
      return [request]
    },
    UplinkCase("plain from an auth-only device", .envelopePlainRefused, .forbidden) {
      [try $0.post(plain: "open", from: "lock")]
    },
    UplinkCase("plain from a confidential device", .envelopePlainRefused, .forbidden) {
      [try $0.post(plain: "someone is home", from: "occupancy")]
    },
    UplinkCase("plain and empty", .envelopeStructure, .badRequest) { [try $0.post(plain: "", from: "rain")] },
  ]
}

@Suite struct UplinkPolicyTests {
  @Test("Class policy: what each class may send, its answer and its drop reason", arguments: UplinkCase.all)
  func policy(_ test: UplinkCase) throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    var requests = try test.requests(home)
    let last = requests.removeLast()
    for request in requests { #expect(gateway.receive(request, now: Home.start).response.code == .changed) }
    let before = try gateway.outboxUsage().messages
    #expect(before == requests.count)

    let answer = gateway.receive(last, now: Home.start)
    #expect(answer.response.code == test.code)
    #expect(reason(answer.events) == test.reason)
    #expect(answer.events.count == 1)
    #expect(try gateway.outboxUsage().messages == before + (test.reason == nil ? 1 : 0))
    if let reason = test.reason {
      #expect(gateway.counters[reason] == 1)
      if !test.code.isSuccess {
        // RFC 9290: the title tells the node why.
        #expect(answer.response.contentFormat == .problemDetails)
        #expect(answer.response.payload == ProblemDetails(title: reason.name).encoded)
      }
    }
  }

  @Test("A signed envelope goes on byte for byte")
  func unchanged() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let envelope = try home.envelope("occupancy", to: ["owner", "phone2"], 9, class: .confidential)
    _ = gateway.receive(home.post(envelope.bytes), now: Home.start)
    #expect(try gateway.outbound(limit: 10).map(\.bytes) == [envelope.bytes])
  }

  @Test("A plain reading goes on in the gateway's name, on behalf of its node, to its readers")
  func vouched() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    _ = gateway.receive(try home.post(plain: "21.5", from: "rain"), now: Home.start)
    let held = try #require(try gateway.outbound(limit: 10).first)
    let envelope = try SignedEnvelope(parsing: held.bytes)
    try envelope.verify(with: try home["gateway"].public.signingKey)
    #expect(envelope.header.extensions.onBehalfOf == .full(try home.address("rain")))
    #expect(envelope.header.recipients == [.full(try home.address("owner")), .full(try home.address("phone2"))])
    #expect(envelope.readableContent?.bytes == Array("21.5".utf8))
  }

  @Test("No part of an envelope is taken")
  func truncated() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    let bytes = try home.envelope("lock", to: ["owner"], 1).bytes
    for count in 0..<bytes.count {
      let answer = gateway.receive(home.post(Array(bytes.prefix(count))), now: Home.start)
      #expect(answer.response.code == .badRequest && reason(answer.events) != nil)
    }
    #expect(try gateway.outboxUsage().messages == 0)
  }

  @Test("Other paths and methods are refused without an event")
  func routes() throws {
    let home = try Home()
    var gateway = try home.gateway(MemoryStore())
    func code(_ method: CoAPCode, _ path: [String]) throws -> CoAPCode {
      let request = CoAPRequest(method, path: path)
      let answer = gateway.receive(
        NodeRequest(request: request, eui64: try home.radio("lock"), fingerprint: []), now: Home.start)
      #expect(answer.events.isEmpty)
      return answer.response.code
    }
    #expect(try code(.put, ["e"]) == .methodNotAllowed)
    #expect(try code(.post, ["f"]) == .notFound)
    #expect(try code(.delete, ["e", "1", "2"]) == .notFound)
    #expect(try code(.get, [".well-known", "core"]) == .content)
  }
}
