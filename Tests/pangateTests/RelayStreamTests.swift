import Foundation
import Testing

/// `pangate stream`: from one endpoint to two others at once, through a relay that stores nothing of it.
@Suite(.enabled(if: RelayPeerHome.python != nil, "PANGATE_PYTHON has no path of a Python with aiocoap"))
struct RelayStreamTests {
  @Test("A stream of 2 Mbit/s reaches two recipients, in order and without a gap")
  func twoRecipients() throws {
    let home = try RelayPeerHome()
    let program = Executable.products.appendingPathComponent("pangate")
    var generator = SystemRandomNumberGenerator()
    // Two seconds of it.
    let video = Data((0..<500_000).map { _ in UInt8.random(in: 0...255, using: &generator) })
    let file = home.folder.appendingPathComponent("video")
    try video.write(to: file)
    let viewers = try ["owner", "phone2"].map { name in
      let output = home.folder.appendingPathComponent("\(name).video")
      let config = try home.endpoint(name, over: home.urls[name == "owner" ? 0 : 3])
      let process = try RelayPeerProcess(
        program, ["stream", "receive", "--config", config, "--output", output.path],
        output: home.folder.appendingPathComponent("\(name).log"))
      return (process, output)
    }
    for (process, _) in viewers { #expect(process.wait { $0.contains("connected") }) }
    let camera = try Executable.run([
      "stream", "send", "--config", try home.endpoint("gateway", over: home.urls[2]), "--to", "owner", "--to", "phone2",
      "--file", file.path, "--rate", "2000000",
    ])
    #expect(camera.status == 0, "\(camera.stderr)")
    #expect(camera.stderr.contains("489 chunks, 500000 bytes"), "\(camera.stderr)")
    for (process, output) in viewers {
      process.process.waitUntilExit()
      let said = try process.text()
      #expect(process.process.terminationStatus == 0, "\(said)")
      #expect(said.contains("490 chunks, 0 missing, 500000 bytes"), "\(said)")
      #expect(try Data(contentsOf: output) == video)
    }
    home.stop()
  }
}
