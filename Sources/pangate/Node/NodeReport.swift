import CoAP
import Envelope
import Foundation
import IEEE802154
import Node
import Wire

/// What `pangate node` prints: a line for each thing that happened, with what it cost on the air.
struct NodeReport {
  struct Line: Encodable {
    var device: String
    var what: String
    var detail: String?
    var framesSent: Int
    var bytesSent: Int
    var framesReceived: Int
    var bytesReceived: Int
  }

  let name: String
  let kind: NodeKind
  let json: Bool
  private(set) var reports = 0
  private var last = AirTraffic()
  private var isRegistered = false

  init(name: String, kind: NodeKind, json: Bool) {
    self.name = name
    self.kind = kind
    self.json = json
  }

  mutating func begin(_ protection: String) {
    print("begins", "\(kind.rawValue), \(protection)", last)
  }

  mutating func show(_ events: [DeviceEvent], _ behavior: AnyDevice, _ traffic: AirTraffic, isRegistered: Bool) {
    if isRegistered, !self.isRegistered {
      print("joined", "the gateway has registered its address", traffic)
    }
    self.isRegistered = isRegistered
    for event in events {
      switch event {
      case .reported(let label):
        reports += 1
        print("reported", behavior.said[label], traffic)
      case .reportLost(let label): print("lost", behavior.said[label], traffic)
      case .acted(_, let sequence, let message):
        print("obeyed", "\(ContentText.lines(message).joined(separator: " ")), seq \(sequence)", traffic)
      case .challenged(_, let sequence): print("challenges", "seq \(sequence)", traffic)
      case .recordObeyed(let epoch): print("record", "of epoch \(epoch) is obeyed", traffic)
      case .refused(let reason): print("refused", reason.name, traffic)
      case .chunkTaken(let number): if number % 16 == 0 { print("streams", "chunk \(number)", traffic) }
      case .chunkLost(let number): print("left out", "chunk \(number)", traffic)
      case .receiptTaken(let sequence): print("receipt", "for seq \(sequence)", traffic)
      case .served(let request, let code):
        print("served", "/\(request.uriPath.joined(separator: "/")) \(code)", traffic)
      }
    }
  }

  /// The cost is that since the line before.
  private mutating func print(_ what: String, _ detail: String?, _ traffic: AirTraffic) {
    let cost = traffic - last
    last = traffic
    if json {
      pangate.show(
        JSONOutput.line(
          Line(
            device: name, what: what, detail: detail, framesSent: cost.framesSent, bytesSent: cost.bytesSent,
            framesReceived: cost.framesReceived, bytesReceived: cost.bytesReceived)))
    } else {
      let text = "\(name)  \(what)" + (detail.map { "  \($0)" } ?? "")
      pangate.show(text + "  (\(cost.description))")
    }
  }
}
