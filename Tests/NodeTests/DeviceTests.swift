import CoAP
import Envelope
import Node
import Testing
import Wire

@Suite struct PlainSensorTests {
  @Test("A sensor posts each reading once and says what became of it") func report() {
    let desk = Desk(PlainSensor(format: .textPlain))
    desk.answers = { request in CoAPResponse(request.payload == [2] ? .forbidden : .changed) }
    for label in 1...3 as ClosedRange<UInt64> {
      desk.perform { $0.report([UInt8(label)], label: label) }
    }
    #expect(desk.takeEvents() == [.reported(1), .reportLost(2), .reported(3)])
    let requests = desk.takeRequests()
    #expect(requests.map(\.payload) == [[1], [2], [3]])
    #expect(requests.allSatisfy { $0.code == .post && $0.uriPath == ["e"] && $0.contentFormat == .textPlain })
  }

  @Test("Of readings that wait the oldest are lost, and one that nobody answers is not posted again") func lost() {
    let desk = Desk(PlainSensor())
    desk.answers = { _ in nil }
    for label in 1...7 as ClosedRange<UInt64> { desk.perform { $0.report([UInt8(label)], label: label) } }
    #expect(desk.takeEvents() == [.reportLost(2), .reportLost(3)])
    desk.run(for: .seconds(300))
    #expect(desk.takeEvents() == [.reportLost(1)])
    desk.answers = { _ in CoAPResponse(.changed) }
    desk.run(for: .seconds(300))
    #expect(desk.takeEvents().last == .reported(7))
    #expect(Set(desk.takeRequests().map(\.payload)) == [[1], [4], [5], [6], [7]])
  }
}

@Suite struct CoAPServerNodeTests {
  @Test("A server reads, writes, appends and removes") func methods() {
    let desk = Desk(CoAPServerNode(resources: [["a"]: [1]]))
    desk.ask(CoAPRequest(.get, path: ["a"]))
    desk.ask(CoAPRequest(.put, path: ["a"], payload: [2]))
    desk.ask(CoAPRequest(.post, path: ["b", "c"], payload: [3]))
    desk.ask(CoAPRequest(.post, path: ["b", "c"], payload: [4]))
    desk.ask(CoAPRequest(.get, path: ["b", "c"]))
    desk.ask(CoAPRequest(.delete, path: ["a"]))
    desk.ask(CoAPRequest(.get, path: ["a"]))
    desk.ask(CoAPRequest(.patch, path: ["a"]))
    #expect(
      desk.responses.map(\.code) == [
        .content, .changed, .created, .changed, .content, .deleted, .notFound, .methodNotAllowed,
      ])
    #expect(desk.responses[0].payload == [1] && desk.responses[4].payload == [3, 4])
    #expect(desk.behavior.resources == [["b", "c"]: [3, 4]])
    #expect(desk.takeEvents().count == 8)
  }

  @Test("It holds so much and no more") func bounds() {
    let desk = Desk(CoAPServerNode())
    for number in 0..<20 { desk.ask(CoAPRequest(.put, path: ["\(number)"], payload: [0])) }
    #expect(desk.behavior.resources.count == 16)
    #expect(desk.responses.suffix(4).allSatisfy { $0.code == .internalServerError })
    desk.ask(CoAPRequest(.post, path: ["0"], payload: [UInt8](repeating: 1, count: 200)))
    #expect(desk.behavior.resources[["0"]]?.count == 64)
  }
}
