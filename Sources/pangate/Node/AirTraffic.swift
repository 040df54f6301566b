import IEEE802154
import Wire

/// Frames and bytes on the air, the FCS counted and acknowledgments not: what a device costs its battery.
struct AirTraffic: Sendable, Hashable {
  var framesSent = 0
  var bytesSent = 0
  var framesReceived = 0
  var bytesReceived = 0

  /// A PSDU without FCS.
  mutating func sent(_ psdu: [UInt8]) {
    framesSent += 1
    bytesSent += psdu.count + FCS.length
  }

  mutating func received(_ frame: CapturedFrame) {
    framesReceived += 1
    bytesReceived += frame.bytes.count + (frame.metadata.fcsPresent ? 0 : FCS.length)
  }

  static func - (left: AirTraffic, right: AirTraffic) -> AirTraffic {
    AirTraffic(
      framesSent: left.framesSent - right.framesSent, bytesSent: left.bytesSent - right.bytesSent,
      framesReceived: left.framesReceived - right.framesReceived,
      bytesReceived: left.bytesReceived - right.bytesReceived)
  }

  var description: String {
    func part(_ frames: Int, _ bytes: Int, _ way: String) -> String {
      "\(frames) frame\(frames == 1 ? "" : "s") \(bytes) bytes \(way)"
    }
    return part(framesSent, bytesSent, "out") + ", " + part(framesReceived, bytesReceived, "in")
  }
}
