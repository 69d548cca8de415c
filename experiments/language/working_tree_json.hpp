// How a working tree is written in a plan and in a submission. For .cpp files: it pulls in Boost.JSON.
#pragma once

#include "language/codec.hpp"
#include "language/working_tree.hpp"

namespace nsa::language {

template <class Visitor, OneOf<WorkingTree> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("commit", self.commit);
    v.required("edited", self.edited);
    v.required("tree", self.tree);
}

}  // namespace nsa::language
