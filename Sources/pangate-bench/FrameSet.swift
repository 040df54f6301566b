import BorderRouter
import IEEE802154
import Radio
import Wire

/// The frames of a capture, one behind the other in memory.
struct FrameSet {
  private struct Place {
    var start: Int
    var end: Int
    var metadata: FrameMetadata
  }

  private var bytes: [UInt8] = []
  private var places: [Place] = []

  var count: Int { places.count }
  var byteCount: Int { bytes.count }

  init(path: String) throws(BenchError) {
    do throws(CaptureError) {
      var reader = try CaptureReader(path: path)
      while let frame = try reader.nextFrame() {
        let start = bytes.count
        bytes += frame.bytes
        places.append(Place(start: start, end: bytes.count, metadata: frame.metadata))
      }
    } catch { throw BenchError("\(error)") }
  }

  /// Decodes all frames, no datagram being under way at first; returns how many datagrams were completed.
  func decode(with decoder: inout FrameDecoder) -> Int {
    decoder.reset()
    var datagrams = 0
    let bytes = bytes.rawSpan
    for place in places {
      let decoded = decoder.decode(bytes.extracting(place.start..<place.end), place.metadata)
      if !decoded.packet.isEmpty { datagrams += 1 }
    }
    return datagrams
  }
}
