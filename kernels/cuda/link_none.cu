// In place of link_nccl.cu where the build found no NCCL.
#include "kernels/cuda/link.cuh"

namespace llmpq::cuda {

const char* why_no_nccl() { return "this build has no NCCL"; }
LinkId new_link_id() { raise(kMpi, "this build has no NCCL; use --link mpi"); }
Link* open_link(Session&, const LinkOptions&) {
  new_link_id();
  return nullptr;
}
void close_link(Link*) {}
void link_send(Link&, StreamContext&, const float*, int64_t) { new_link_id(); }
void link_receive(Link&, StreamContext&, float*, int64_t) { new_link_id(); }

}  // namespace llmpq::cuda
